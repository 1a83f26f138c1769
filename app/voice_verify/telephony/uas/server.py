"""The user agent server: every request that comes in, and the calls that they make."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import dataclass
from functools import partial

from voice_verify.telephony.agent import CallInfo, Counters
from voice_verify.telephony.sip import Flow, Request, ServerTransaction
from voice_verify.telephony.sip.clock import Clock
from voice_verify.telephony.uas import bodies, ends, recording, refusals, requests
from voice_verify.telephony.uas.admission import Admission
from voice_verify.telephony.uas.bodies import Content
from voice_verify.telephony.uas.call import Call, CallContext
from voice_verify.telephony.uas.dialog import DialogId, of_request
from voice_verify.telephony.uas.media import CallMedia, MediaContext
from voice_verify.telephony.uas.place import Place
from voice_verify.telephony.uas.refusals import Refusal
from voice_verify.telephony.uas.source import Source
from voice_verify.telephony.uas.wire import Wire

log = logging.getLogger(__name__)

# Without any packet for that long a line is dead; RTCP and comfort noise count as life.
MEDIA_TIMEOUT_S = 20.0
_TICK_S = 1.0
# For the BYEs of a stop.
_STOP_S = 2.0


@dataclass(frozen=True)
class ServerContext:
    """What the server works with."""

    clock: Clock
    counters: Counters
    wire: Wire
    media: MediaContext
    admission: Admission
    place: Place


class UserAgentServer:
    """Receives calls and makes none. `take` and `acknowledged` are what the SIP layer calls."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self.calls: dict[DialogId, Call] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._calls = CallContext(context.clock, context.counters, context.wire, self._spawn, self._forget)
        context.counters.watch("calls", lambda: len(self.calls))
        self._tick = context.clock.call_later(_TICK_S, self._look_for_silence)

    def take(self, transaction: ServerTransaction) -> None:
        """Serve a request."""
        try:
            self._take(transaction)
        except Refusal as refusal:
            self._refuse(transaction, refusal)
        except Exception:
            # A transaction without an answer would stay.
            log.exception("a request could not be served", extra={"fields": {"call_id": transaction.request.call_id}})
            self._refuse(transaction, refusals.internal_error())

    def _refuse(self, transaction: ServerTransaction, refusal: Refusal) -> None:
        self._context.counters.add("refusals", kind=refusal.kind)
        transaction.reply(refusal.status, refusal.reason, headers=refusal.headers)
        if refusal.kind in refusals.FLOODS:
            # What comes again is refused again (RFC 3261, section 8.2.7).
            transaction.abandon()

    def acknowledged(self, ack: Request, flow: Flow) -> None:
        """An ACK of a 2xx; there is no answer to one, so one for no call is dropped."""
        dialog = of_request(ack)
        call = None if dialog is None else self.calls.get(dialog)
        if call is not None and self._context.admission.lets_in(self._context.admission.source(ack, flow)):
            call.acknowledged(ack.cseq.number, partial(bodies.read, ack))

    async def stop(self) -> None:
        """End all calls and say so to the peers, who get a moment to answer."""
        self._stopping = True
        self._tick.cancel()
        for call in list(self.calls.values()):
            call.end(ends.SHUTDOWN)
            call.leave_now()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=_STOP_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _take(self, transaction: ServerTransaction) -> None:
        request = transaction.request
        source = self._context.admission.source(request, transaction.flow)
        if not self._context.admission.lets_in(source):
            raise refusals.forbidden_peer()
        requests.check(request)
        dialog = of_request(request)
        if dialog is not None:
            call = self.calls.get(dialog)
            if call is None:
                raise refusals.no_dialog()
            call.take(transaction)
        elif request.method == "INVITE":
            self._invited(transaction, source)
        elif request.method == "OPTIONS":
            transaction.reply(200, headers=[refusals.ALLOW, refusals.SUPPORTED, refusals.ACCEPT])
            # Nor is anything kept of a question that can be answered again.
            transaction.abandon()
        else:
            raise refusals.no_dialog()

    def _invited(self, transaction: ServerTransaction, source: Source) -> None:
        request = transaction.request
        if self._stopping:
            raise refusals.stopping()
        if "Replaces" in request.headers:
            raise refusals.replaces()
        if request.contact is None:
            raise refusals.bad_request("no_contact", "an INVITE needs a Contact")
        pbx = self._context.admission.admit(request, source)
        content = bodies.read(request)
        recorded = recording.is_recording(request, content.metadata)
        if recorded and content.session is None:
            raise refusals.bad_request("no_offer", "a recording session begins with an offer")
        info = CallInfo(
            source="siprec" if recorded else "sip",
            peer=source.host,
            call_id=request.call_id,
            caller=request.from_.uri,
            callee=request.to.uri,
            participant=None,
            pbx=pbx,
            uuid=None,
            codec="alaw",
            rate=8000,
        )
        self._begin(transaction, source, content, info)

    def _begin(self, transaction: ServerTransaction, source: Source, content: Content, info: CallInfo) -> None:
        place = self._context.place
        address = place.address(source, transaction.flow)
        calls: list[Call] = []
        media = CallMedia(
            self._context.media,
            info,
            address=address,
            secure=source.secure,
            uuid=recording.asked_uuid(transaction.request),
            over=lambda reason: calls[0].end(ends.by_service(reason)),
        )
        sips = transaction.request.uri.lower().startswith("sips:")
        contact = place.contact(address, source, transaction.flow, sips=sips, recording=info.source == "siprec")
        call = Call(self._calls, transaction, media, contact=contact)
        calls.append(call)
        call.start(transaction, content)
        self.calls[call.dialog.id] = call

    def _look_for_silence(self) -> None:
        self._tick = self._context.clock.call_later(_TICK_S, self._look_for_silence)
        for call in list(self.calls.values()):
            if call.silent_s > MEDIA_TIMEOUT_S:
                call.end(ends.MEDIA_TIMEOUT)

    def _forget(self, dialog: DialogId) -> None:
        self.calls.pop(dialog, None)

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a call's task failed", exc_info=task.exception())
