"""The streams of one life of the telephony process: opened, fed and ended as it says, and it is told when they end."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

from voice_verify.errors import InternalError, Overloaded, StreamNotFound, Unavailable, VoiceVerifyError
from voice_verify.processes.wire import ProtocolError, pack
from voice_verify.services.events import Ended, EndReason, Event
from voice_verify.services.frames import FrameDecoder
from voice_verify.services.stream import Stream
from voice_verify.services.streams import StreamService
from voice_verify.store.streams import Call
from voice_verify.telephony import protocol
from voice_verify.telephony.agent import CallInfo
from voice_verify.telephony.protocol import Kind, Message
from voice_verify.telephony.refusals import refused

log = logging.getLogger(__name__)

# More that wait for the database than there can be streams: their callers will have hung up before it is their turn.
MAX_OPENING = 256


@dataclass
class _Leg:
    """`failed`: what it sends from now on is not taken."""

    stream: Stream
    decoder: FrameDecoder
    failed: bool = False


class CallLegs:
    """`told` never waits: what asks the database or the engine is left to `openers` and `enders`."""

    def __init__(
        self, streams: StreamService, send: Callable[[bytes], None], *, openers: Executor, enders: Executor
    ) -> None:
        self._streams = streams
        self._send = send
        self._openers = openers
        self._enders = enders
        self._lock = threading.Lock()
        self._legs: dict[int, _Leg] = {}
        # Those that the process still wants.
        self._opening: set[int] = set()
        self._admitting = True

    def refuse_new(self) -> None:
        """From now on no leg is opened, because the service stops."""
        self._admitting = False

    def told(self, message: Message) -> None:
        """What the process says of its legs; raises ProtocolError."""
        match message.kind:
            case Kind.audio:
                self._audio(message.number, message.content)
            case Kind.open:
                self._begin(message.number, protocol.unpack_open(message.content))
            case Kind.codec:
                self._recode(message)
            case Kind.hold:
                leg = self._legs.get(message.number)
                if leg is not None:
                    leg.stream.hold(bool(message.code))
            case Kind.end:
                self._end(message.number, EndReason(protocol.unpack_end(message)))
            case _:
                raise ProtocolError(f"a message of kind {message.kind.name} is none for the service")

    def lost(self) -> None:
        """The process is gone: so are its calls."""
        with self._lock:
            legs, self._legs = self._legs, {}
            self._opening.clear()
        for leg in legs.values():
            self._enders.submit(self._streams.end, leg.stream.uuid, EndReason.telephony_restarted)

    def _begin(self, number: int, call: CallInfo) -> None:
        with self._lock:
            is_late = len(self._opening) >= MAX_OPENING
            if not is_late:
                self._opening.add(number)
        if is_late:
            self._refuse(number, Overloaded("Too many calls wait to be admitted", hint="try again in a moment"))
        else:
            self._openers.submit(self._open, number, call)

    def _audio(self, number: int, block: bytes) -> None:
        leg = self._legs.get(number)
        if leg is None or leg.failed:
            return
        try:
            self._streams.push(leg.stream, leg.decoder, block)
        except StreamNotFound:
            # Ended by the service, which tells why by an event.
            leg.failed = True
        except VoiceVerifyError as error:
            leg.failed = True
            self._enders.submit(self._give_up, number, leg, error)

    def _recode(self, message: Message) -> None:
        leg = self._legs.get(message.number)
        codec, rate = protocol.unpack_codec(message)
        if leg is not None and (leg.decoder.codec, leg.decoder.rate) != (codec, rate):
            leg.decoder = FrameDecoder(codec, rate)
            leg.stream.recode(leg.decoder)

    def _end(self, number: int, reason: EndReason) -> None:
        with self._lock:
            # One that is being opened is ended when it is open.
            self._opening.discard(number)
            leg = self._legs.pop(number, None)
        if leg is not None:
            self._enders.submit(self._streams.end, leg.stream.uuid, reason)

    # What follows runs in threads of its own.

    def _open(self, number: int, call: CallInfo) -> None:
        try:
            leg = _Leg(self._open_stream(call), FrameDecoder(call.codec, call.rate))
        except VoiceVerifyError as error:
            self._refuse(number, error)
            return
        except Exception:
            log.exception("a stream could not be opened for a call")
            self._refuse(number, InternalError("The stream could not be opened", hint="see the log of the service"))
            return
        with self._lock:
            is_wanted = number in self._opening
            self._opening.discard(number)
            if is_wanted:
                self._legs[number] = leg
        if not is_wanted:
            self._streams.end(leg.stream.uuid, EndReason.client_closed)
            return
        # First, so that it comes before the end.
        self._send(protocol.pack_opened(number, leg.stream.uuid))
        try:
            leg.stream.attach(leg.decoder, call.peer, lambda event: self._happened(number, event))
        except VoiceVerifyError:
            # It was ended in between.
            self._let_go(number, EndReason.error)

    def _open_stream(self, call: CallInfo) -> Stream:
        """Raises what StreamService.open does, and Unavailable."""
        if not self._admitting:
            raise Unavailable("The service stops", hint="call again in a moment")
        pbx = None if call.pbx is None else str(call.pbx)
        known = Call(call.call_id, call.caller, call.callee, call.participant, pbx)
        return self._streams.open(call.source, known, uuid=call.uuid)

    def _refuse(self, number: int, error: VoiceVerifyError) -> None:
        with self._lock:
            self._opening.discard(number)
        log.info("call refused", extra={"fields": {"code": error.code}})
        self._send(protocol.pack_refused(number, refused(error)))

    def _happened(self, number: int, event: Event) -> None:
        if isinstance(event, Ended):
            self._let_go(number, event.reason)

    def _give_up(self, number: int, leg: _Leg, error: VoiceVerifyError) -> None:
        fields = {"stream": str(leg.stream.uuid), "code": error.code}
        log.warning("the audio of a call is not taken", extra={"fields": fields})
        self._streams.end(leg.stream.uuid, EndReason.error)
        self._let_go(number, EndReason.error)

    def _let_go(self, number: int, reason: EndReason) -> None:
        """Tell the process that a leg is over, unless it knows."""
        with self._lock:
            leg = self._legs.pop(number, None)
        if leg is not None:
            self._send(pack(Kind.ended, number, reason.encode()))
