"""One call: from its INVITE to the end, on the side of who is called (RFC 3261, sections 12 to 15)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass

from voice_verify.telephony.agent import Counters
from voice_verify.telephony.sip import Request, ServerTransaction, SipError, reply
from voice_verify.telephony.sip.clock import Clock
from voice_verify.telephony.uas import bodies, ends, refusals
from voice_verify.telephony.uas.bodies import Content
from voice_verify.telephony.uas.confirmation import Confirmation
from voice_verify.telephony.uas.dialog import Dialog, DialogId
from voice_verify.telephony.uas.ends import End
from voice_verify.telephony.uas.keeping import SessionKeeper
from voice_verify.telephony.uas.media import CallMedia
from voice_verify.telephony.uas.refresh import Refresh
from voice_verify.telephony.uas.refusals import Refusal
from voice_verify.telephony.uas.requests import takes_update, timer_for
from voice_verify.telephony.uas.session_timer import Answered
from voice_verify.telephony.uas.wire import Wire

log = logging.getLogger(__name__)

# The service answers at once or not at all; nobody should listen to nothing for longer.
_OPEN_S = 10.0


@dataclass(frozen=True)
class CallContext:
    """What a call has of its server. `spawn` runs what is waited for at the end; `forget`: nothing is left of it."""

    clock: Clock
    counters: Counters
    wire: Wire
    spawn: Callable[[Coroutine[None, None, None]], asyncio.Task[None]]
    forget: Callable[[DialogId], None]


class Call:
    """`contact`: value of our Contact. Begins with `start`; when it is over, nothing of it is left."""

    def __init__(self, context: CallContext, invite: ServerTransaction, media: CallMedia, *, contact: str) -> None:
        self.dialog = Dialog.of(invite)
        self._context = context
        self._media = media
        self._headers = [("Contact", contact), refusals.ALLOW, refusals.SUPPORTED]
        # Where the peer's last request came in; ours go out there.
        self._flow = invite.flow
        # The INVITE or UPDATE that is worked on, and the work.
        self._pending: ServerTransaction | None = None
        self._work: asyncio.Task[None] | None = None
        self._answered = False
        self._over = False
        self._confirmation: Confirmation | None = None
        # Ended by us before the ACK came, which no BYE may overtake (RFC 3261, section 15).
        self._farewell: End | None = None
        refresh = Refresh(
            self.dialog,
            media,
            context.wire,
            [("Contact", contact), refusals.ALLOW],
            flow=lambda: self._flow,
            nothing_agreed=lambda: self.end(ends.NO_MEDIA_AGREED),
        )
        self._keeper = SessionKeeper(
            context.clock, context.spawn, refresh, lambda: self.end(ends.SESSION_EXPIRED), takes_update(invite.request)
        )

    def start(self, invite: ServerTransaction, content: Content) -> None:
        """Serve the INVITE that makes the call; raises Refusal."""
        timer = timer_for(invite.request)
        self._change(invite, content, timer)

    def take(self, transaction: ServerTransaction) -> None:
        """Serve a request in the dialog; raises Refusal."""
        request = transaction.request
        if self._over and request.method != "BYE":
            raise refusals.no_dialog()
        if not self.dialog.in_order(request):
            raise refusals.out_of_order()
        self._flow = transaction.flow
        match request.method:
            case "BYE":
                transaction.reply(200)
                self._hung_up()
            case "INVITE" | "UPDATE":
                self._asked_to_change(transaction)
            case "OPTIONS":
                transaction.reply(200, headers=[refusals.ALLOW, refusals.SUPPORTED, refusals.ACCEPT])
            case "INFO":
                # DTMF and the like: nothing is done with it, but a refusal would end calls of some PBXs.
                transaction.reply(200)
            case other:
                raise refusals.method(other)

    def acknowledged(self, cseq: int, read: Callable[[], Content]) -> None:
        """An ACK came; `read` gives what it carries and may raise Refusal."""
        confirmation = self._confirmation
        if confirmation is None or confirmation.cseq != cseq:
            return
        self._confirmation = None
        confirmation.stop()
        if self._farewell is not None:
            self._leave(self._farewell)
        elif confirmation.offered:
            try:
                answer = read().session
            except Refusal:
                answer = None
            if answer is None or not self._media.take_answer(answer):
                self.end(ends.NO_MEDIA_AGREED)

    @property
    def silent_s(self) -> float:
        """Seconds for which audio should have come and did not."""
        return 0.0 if self._over or not self._answered else self._media.silent_s

    def end(self, end: End) -> None:
        """End the call: whoever does not know yet is told. Again is harmless."""
        if self._over:
            return
        self._over = True
        self._context.counters.add("call_ends", kind=end.kind)
        log.info("call ended", extra={"fields": {"call_id": self.dialog.id.call_id, "reason": end.kind}})
        self._keeper.stop()
        self._stop_work()
        self._media.close(end.leg)
        if self._pending is not None:
            _give_up(self._pending, end)
            self._pending = None
        if not self._answered or end.status is None:
            self._gone()
        elif self._confirmation is not None:
            self._farewell = end
        else:
            self._leave(end)

    def leave_now(self) -> None:
        """Do not wait for an ACK any longer."""
        if self._farewell is not None:
            self._leave(self._farewell)

    def _asked_to_change(self, transaction: ServerTransaction) -> None:
        """A re-INVITE or an UPDATE; raises Refusal."""
        if self._pending is not None:
            raise refusals.still_working()
        content = bodies.read(transaction.request)
        offers = content.session is not None or transaction.request.method == "INVITE"
        ours_is_open = self._confirmation is not None and self._confirmation.offered
        if self._keeper.offering or (offers and ours_is_open):
            raise refusals.pending()
        self._change(transaction, content, timer_for(transaction.request))

    def _change(self, transaction: ServerTransaction, content: Content, timer: Answered) -> None:
        self._pending = transaction
        if transaction.request.method == "INVITE":
            transaction.on_cancel = lambda: self._cancelled(transaction)
        self._work = self._context.spawn(self._negotiate(transaction, content, timer))

    async def _negotiate(self, transaction: ServerTransaction, content: Content, timer: Answered) -> None:
        try:
            async with asyncio.timeout(_OPEN_S):
                body = await self._described(transaction, content)
            self._accept(transaction, body, timer, offered=body != b"" and content.session is None)
        except Refusal as refusal:
            self._refuse(transaction, refusal)
        except TimeoutError:
            self._refuse(transaction, refusals.slow_service())
        except Exception:
            # An offer that nobody thought of must not leave a call that never ends.
            log.exception("an offer could not be answered", extra={"fields": {"call_id": self.dialog.id.call_id}})
            self._refuse(transaction, refusals.internal_error())

    async def _described(self, transaction: ServerTransaction, content: Content) -> bytes:
        """Our description for the answer, empty for a refresh that asks for none; raises Refusal."""
        self._media.learn(content.metadata)
        if content.session is not None:
            return await self._media.take_offer(content.session)
        return await self._media.make_offer() if transaction.request.method == "INVITE" else b""

    def _accept(self, transaction: ServerTransaction, body: bytes, timer: Answered, *, offered: bool) -> None:
        self._pending = None
        self.dialog.refresh_target(transaction.request)
        streams = [("X-Stream-UUID", f"{uuid};label={label}") for label, uuid in self._media.uuids.items()]
        response = reply(
            transaction.request,
            200,
            to_tag=transaction.to_tag,
            headers=[*self._headers, *timer.headers, *streams],
            body=body,
            content_type=bodies.SDP if body else None,
        )
        if transaction.request.method == "INVITE":
            if self._confirmation is not None:
                # Who sends another request has our 2xx.
                self._confirmation.stop()
            self._confirmation = Confirmation(
                transaction, response, self._context.clock, self._not_acknowledged, offered=offered
            )
        else:
            transaction.respond(response)
        if not self._answered:
            self._answered = True
            self._context.counters.add("calls")
            log.info("call answered", extra={"fields": {"call_id": self.dialog.id.call_id}})
        self._keeper.allows_update = self._keeper.allows_update or takes_update(transaction.request)
        self._keeper.agreed(timer.timer)

    def _refuse(self, transaction: ServerTransaction, refusal: Refusal) -> None:
        """The session stays as it was (RFC 3261, section 14.2); a call without one is over."""
        self._pending = None
        self._context.counters.add("refusals", kind=refusal.kind)
        transaction.reply(refusal.status, refusal.reason, headers=refusal.headers)
        if not self._answered:
            self.end(ends.REFUSED)

    def _cancelled(self, transaction: ServerTransaction) -> None:
        """CANCEL (RFC 3261, section 9.2): of the call, or of a change that is not made then."""
        if transaction is not self._pending:
            return
        if not self._answered:
            self.end(ends.CANCELLED)
            return
        self._stop_work()
        self._pending = None
        _give_up(transaction, ends.CANCELLED)

    def _hung_up(self) -> None:
        if self._over:
            self._gone()
        self.end(ends.BYE)

    def _not_acknowledged(self) -> None:
        self._confirmation = None
        self.leave_now()
        self.end(ends.NO_ACK)

    def _stop_work(self) -> None:
        if self._work is not None and self._work is not asyncio.current_task():
            self._work.cancel()

    def _leave(self, end: End) -> None:
        """Say BYE, and be gone: what the peer answers changes nothing."""
        bye = self.dialog.request("BYE")
        for header in end.headers:
            bye.headers.add(*header)
        self._gone()
        self._context.spawn(self._say(bye))

    async def _say(self, bye: Request) -> None:
        try:
            await self._context.wire.request(bye, self._flow, self.dialog.next_hop)
        except SipError as error:
            self._context.counters.add("byes_lost")
            log.info("a BYE was not answered: %s", error, extra={"fields": {"call_id": self.dialog.id.call_id}})

    def _gone(self) -> None:
        self._farewell = None
        if self._confirmation is not None:
            self._confirmation.stop()
            self._confirmation = None
        self._context.forget(self.dialog.id)


def _give_up(transaction: ServerTransaction, end: End) -> None:
    """The final answer to a request whose call ends meanwhile."""
    if end.status is None:
        transaction.reply(487)
    elif end is ends.SHUTDOWN:
        refusal = refusals.stopping()
        transaction.reply(refusal.status, refusal.reason, headers=refusal.headers)
    else:
        transaction.reply(480, headers=end.headers)
