"""The streams of one connection: one for each channel that is heard."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal
from uuid import UUID

from voice_verify.errors import InvalidRequest, StreamInUse, StreamNotFound, UnsupportedChannel, VoiceVerifyError
from voice_verify.media.actions import MONO, Adapter, Format, Heard, Opened, Started
from voice_verify.services.events import EndReason, Event, Listener
from voice_verify.services.frames import ANY_RATES, FrameDecoder
from voice_verify.services.stream import Stream
from voice_verify.services.streams import StreamService
from voice_verify.store.streams import Call

Role = Literal["customer", "agent"]
Told = Callable[[tuple[UUID, Event]], None]


@dataclass
class Leg:
    """One channel; `decoder` makes of a frame what its stream hears."""

    channel: str
    stream: Stream
    decoder: FrameDecoder
    listener: Listener


class Session:
    """Opens, feeds and ends them. `told` gets their events from any thread; `peer` is the address of who connected."""

    def __init__(self, streams: StreamService, adapter: Adapter, parameters: Mapping[str, str], peer: str, told: Told):
        self._streams = streams
        self._adapter = adapter
        self._parameters = parameters
        self._peer = peer
        self._told = told
        self._legs: list[Leg] = []

    @property
    def legs(self) -> Sequence[Leg]:
        return self._legs

    def open(self, started: Started) -> list[Opened]:
        """A stream for each channel that is wanted, or none.

        Raises what StreamService.open does, UnsupportedChannel, UnsupportedRate, StreamInUse and InvalidRequest.
        """
        parameters = {**started.parameters, **self._parameters}
        heard = roles(started.format, parameters, self._adapter.channels)
        asked = _uuid(parameters.get("uuid"))
        for channel, role in heard.items():
            try:
                call = Call(started.call_id, started.caller, started.callee, participant=role)
                decoder = _decoder(started.format, channel)
                # That of the customer, where there is one.
                is_first = not self._legs
                stream = self._stream(call, asked, started.uuid) if is_first else self._new(call)
                listener = partial(self._tell, stream.uuid)
                stream.attach(decoder, self._peer, listener, protocol=self._adapter.name.value, call=call)
                self._legs.append(Leg(channel, stream, decoder, listener))
            except VoiceVerifyError:
                # Nobody is told of streams that were taken back.
                self.detach()
                self.end(EndReason.error)
                self._legs.clear()
                raise
        return [Opened(leg.stream.uuid, leg.channel) for leg in self._legs]

    def hear(self, heard: Heard) -> None:
        """Give audio to the streams that are still there; never waits.

        Raises BadFrame, Overloaded, EngineUnavailable and StreamFailed.
        """
        for leg in self._legs:
            if heard.channel in (None, leg.channel):
                try:
                    self._streams.push(leg.stream, leg.decoder, heard.payload)
                except StreamNotFound:
                    # Ended by the service, which tells so by an event.
                    continue

    def alive(self, held: bool | None) -> None:
        """The peer is there; `held` says whether audio is to come."""
        for leg in self._legs:
            leg.stream.touch()
            if held is not None:
                leg.stream.hold(held)

    def end(self, reason: EndReason, error: VoiceVerifyError | None = None) -> None:
        """End what is left, after all that was sent was heard; waits for the engine and the database."""
        for leg in self._legs:
            if error is not None:
                leg.stream.fail(error)
            self._streams.end(leg.stream.uuid, reason)

    def detach(self) -> None:
        """Let go of the streams, whatever becomes of them."""
        for leg in self._legs:
            leg.stream.detach(leg.listener)

    def _tell(self, uuid: UUID, event: Event) -> None:
        self._told((uuid, event))

    def _stream(self, call: Call, asked: UUID | None, suggested: UUID | None) -> Stream:
        """That of the uuid `asked` for, opened before or now; else a new one, of the uuid `suggested` if it is free."""
        if asked is not None:
            try:
                return self._streams.get(asked)
            except StreamNotFound:
                return self._streams.open("websocket", call, uuid=asked)
        try:
            return self._streams.open("websocket", call, uuid=suggested)
        except StreamInUse:
            return self._new(call)

    def _new(self, call: Call) -> Stream:
        return self._streams.open("websocket", call)


def roles(audio: Format, parameters: Mapping[str, str], names: Sequence[str]) -> dict[str, Role]:
    """Whose voice each channel is that is to be heard; the customer's comes first.

    `customer` names the customer's of `names`, by default the first; `listen=customer` leaves out the other one.
    Raises UnsupportedChannel and InvalidRequest.
    """
    customer, listen = parameters.get("customer", names[0]), parameters.get("listen", "both")
    if customer not in names:
        raise UnsupportedChannel("There is no such channel", hint=f"give customer={'|'.join(names)}")
    if listen not in ("both", "customer"):
        raise InvalidRequest("This is not what can be listened to", hint="give listen=both|customer")
    if audio.channels == (MONO,):
        return {MONO: "customer"}
    found: dict[str, Role] = {
        name: "customer" if name == customer else "agent"
        for name in sorted(audio.channels, key=lambda name: name != customer)
    }
    if listen == "customer":
        found = {name: role for name, role in found.items() if role == "customer"}
    if not found:
        raise UnsupportedChannel("The channel of the customer is not sent", hint="send it, or give another customer=")
    return found


def _decoder(audio: Format, channel: str) -> FrameDecoder:
    index = str(audio.channels.index(channel)) if audio.interleaved else None
    return FrameDecoder(audio.codec, audio.rate, index, rates=ANY_RATES)


def _uuid(text: str | None) -> UUID | None:
    try:
        return None if text is None else UUID(text)
    except ValueError as error:
        raise InvalidRequest("A stream is named by a UUID", hint="correct uuid, or leave it out") from error
