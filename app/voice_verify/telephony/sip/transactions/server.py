"""The server's side of a request: answered once, however often it comes (RFC 3261 section 17.2, RFC 6026)."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from enum import Enum, auto

from voice_verify.telephony.sip.clock import PATIENCE, T1, T2, T4, Clock, Timer
from voice_verify.telephony.sip.counters import Count
from voice_verify.telephony.sip.errors import TransportFailed
from voice_verify.telephony.sip.message import Request, Response, reply
from voice_verify.telephony.sip.transport.flow import Flow

# An INVITE without any answer after that long is answered with 100 (section 17.2.1).
_TRYING_S = 0.2
# Whoever has not answered by then has forgotten the request. A proxy waits as long (timer C).
_FORGOTTEN_S = 180.0


class State(Enum):
    """Trying is for others than INVITE; accepted (a 2xx was sent) and confirmed (its ACK came) for INVITE."""

    TRYING = auto()
    PROCEEDING = auto()
    ACCEPTED = auto()
    COMPLETED = auto()
    CONFIRMED = auto()
    TERMINATED = auto()


class ServerTransaction:
    """One request and its responses, which go to the host that the request came from and nowhere else."""

    def __init__(
        self, request: Request, flow: Flow, clock: Clock, count: Count, *, on_end: Callable[[ServerTransaction], None]
    ) -> None:
        self.request = request
        self.flow = flow
        # The tag of our side, the same in all responses.
        self.to_tag = request.to_tag or secrets.token_hex(8)
        self.state = State.PROCEEDING if request.method == "INVITE" else State.TRYING
        self.final: Response | None = None
        # A CANCEL came, and was answered; 487 is the answer to the INVITE. Only for INVITE.
        self.on_cancel: Callable[[], None] | None = None
        self._clock = clock
        self._count = count
        self._on_end = on_end
        self._last: bytes | None = None
        self._pause = T1
        self._repeat: Timer | None = None
        self._end: Timer | None = None
        self._forgotten = clock.call_later(_FORGOTTEN_S, self._forget)
        if self._invite:
            self._repeat = clock.call_later(_TRYING_S, self._trying)

    @property
    def _invite(self) -> bool:
        return self.request.method == "INVITE"

    def reply(
        self,
        status: int,
        reason: str | None = None,
        *,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str | None = None,
    ) -> Response:
        """Make a response with our tag, and send it."""
        response = reply(
            self.request,
            status,
            reason,
            to_tag=self.to_tag,
            headers=headers,
            body=body,
            content_type=content_type,
        )
        self.respond(response)
        return response

    def respond(self, response: Response) -> None:
        """Send a provisional response, or the final one.

        A 2xx of an INVITE may be sent again, which its user does until the ACK comes (section 13.3.1.4). What comes
        after the final response is dropped: a call that was just cancelled may be answered in the same moment.
        """
        if self.state is State.ACCEPTED and 200 <= response.status < 300:
            self._send(response.encode())
            return
        if self.state not in {State.TRYING, State.PROCEEDING}:
            return
        self._stop_timers()
        self._last = response.encode()
        self._send(self._last)
        if response.status < 200:
            self.state = State.PROCEEDING
            return
        self.final = response
        self._forgotten.cancel()
        if not self._invite:
            self.state = State.COMPLETED
            self._end_after(0.0 if self.flow.reliable else PATIENCE)
        elif response.status < 300:
            self.state = State.ACCEPTED
            self._end_after(PATIENCE)
        else:
            self.state = State.COMPLETED
            if not self.flow.reliable:
                self._repeat = self._clock.call_later(self._pause, self._again)
            # Timer H.
            self._end_after(PATIENCE)

    def repeated(self) -> None:
        """The request came again: so does its answer, if there is one already."""
        self._count("sip_retransmissions", "in")
        if self.state in {State.PROCEEDING, State.COMPLETED} and self._last is not None:
            self._send(self._last)

    def acknowledged(self) -> None:
        """The ACK of a final response other than 2xx came."""
        if self.state is State.COMPLETED and self._invite:
            self._stop_timers()
            self.state = State.CONFIRMED
            self._end_after(0.0 if self.flow.reliable else T4)

    def cancelled(self) -> None:
        """A CANCEL came; without effect on what is answered already (section 9.2)."""
        if self.state is State.PROCEEDING and self.on_cancel is not None:
            self.on_cancel()

    def abandon(self) -> None:
        """Stop without another word."""
        self._stop_timers()
        self._forgotten.cancel()
        self.state = State.TERMINATED
        self._on_end(self)

    def _trying(self) -> None:
        self.respond(reply(self.request, 100))

    def _forget(self) -> None:
        self._count("sip_requests_forgotten", self.request.method)
        self.reply(500)

    def _again(self) -> None:
        """Timer G."""
        self._count("sip_retransmissions", "out")
        if self._last is not None:
            self._send(self._last)
        self._pause = min(self._pause * 2, T2)
        self._repeat = self._clock.call_later(self._pause, self._again)

    def _end_after(self, seconds: float) -> None:
        if seconds:
            self._end = self._clock.call_later(seconds, self.abandon)
        else:
            self.abandon()

    def _stop_timers(self) -> None:
        for timer in (self._repeat, self._end):
            if timer is not None:
                timer.cancel()
        self._repeat = self._end = None

    def _send(self, data: bytes) -> None:
        try:
            self.flow.send(data)
        except TransportFailed as error:
            # The peer repeats its request if it still wants to know.
            self._count("sip_unsent", error.code)
