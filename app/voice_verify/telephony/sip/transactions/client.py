"""The client's side of a request (RFC 3261 section 17.1, RFC 6026): sent until somebody answers."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto

from voice_verify.telephony.sip.clock import PATIENCE, T1, T2, T4, Clock, Timer
from voice_verify.telephony.sip.counters import Count
from voice_verify.telephony.sip.errors import SipError, TransactionTimeout, TransportFailed
from voice_verify.telephony.sip.headers import Headers
from voice_verify.telephony.sip.message import Request, Response
from voice_verify.telephony.sip.transport.flow import Flow


class _State(Enum):
    CALLING = auto()
    PROCEEDING = auto()
    ACCEPTED = auto()
    COMPLETED = auto()
    TERMINATED = auto()


class ClientTransaction:
    """One request of ours. `on_response` gets provisional responses and one final; `on_failure` the end without it."""

    def __init__(
        self,
        request: Request,
        flow: Flow,
        clock: Clock,
        count: Count,
        *,
        on_response: Callable[[Response], None],
        on_failure: Callable[[SipError], None],
        on_end: Callable[[ClientTransaction], None],
    ) -> None:
        self.request = request
        self.flow = flow
        self._clock = clock
        self._count = count
        self._on_response = on_response
        self._on_failure = on_failure
        self._on_end = on_end
        self._state = _State.CALLING
        self._data = request.encode()
        self._ack: bytes | None = None
        self._pause = T1
        self._repeat: Timer | None = None
        self._end: Timer | None = None

    @property
    def _invite(self) -> bool:
        return self.request.method == "INVITE"

    def start(self) -> None:
        """Send the request; raises TransportFailed when that does not work at once."""
        self.flow.send(self._data)
        if not self.flow.reliable:
            self._repeat = self._clock.call_later(self._pause, self._again)
        self._end = self._clock.call_later(PATIENCE, self._timed_out)

    def received(self, response: Response) -> None:
        """A response whose branch is ours."""
        if self._state in {_State.CALLING, _State.PROCEEDING}:
            if response.status < 200:
                self._provisional(response)
            else:
                self._final(response)
        elif self._ack is not None and response.status >= 200:
            self._count("sip_retransmissions", "in")
            self._send(self._ack)

    def _provisional(self, response: Response) -> None:
        self._state = _State.PROCEEDING
        if self._invite:
            # Somebody works on it; it is up to the caller for how long.
            self._stop_timers()
        else:
            self._pause = T2
        self._on_response(response)

    def _final(self, response: Response) -> None:
        self._stop_timers()
        if not self._invite:
            self._state = _State.COMPLETED
            self._end_after(0.0 if self.flow.reliable else T4)
        elif response.status < 300:
            # Its ACK is made by the dialog; until nobody repeats the 2xx, it is sent again from here.
            self._state = _State.ACCEPTED
            self._end_after(PATIENCE)
        else:
            self._state = _State.COMPLETED
            self._ack = self._acknowledgement(response).encode()
            self._send(self._ack)
            self._end_after(0.0 if self.flow.reliable else PATIENCE)
        self._on_response(response)

    def _acknowledgement(self, response: Response) -> Request:
        """The ACK of a final response other than 2xx (section 17.1.1.3)."""
        headers = Headers()
        headers.add("Via", self.request.headers.all("Via")[0])
        for name in ("Route", "Max-Forwards", "From", "Call-ID"):
            for value in self.request.headers.all(name):
                headers.add(name, value)
        for value in response.headers.all("To"):
            headers.add("To", value)
        headers.add("CSeq", f"{self.request.cseq.number} ACK")
        return Request(method="ACK", uri=self.request.uri, headers=headers)

    def acknowledge(self, ack: bytes) -> None:
        """Send the ACK of a 2xx, now and whenever that comes again; raises TransportFailed."""
        self._ack = ack
        self.flow.send(ack)

    def fail(self, error: SipError) -> None:
        """There will be no answer."""
        waiting = self._state in {_State.CALLING, _State.PROCEEDING}
        self.abandon()
        if waiting:
            self._on_failure(error)

    def abandon(self) -> None:
        """Nobody waits for the answer any more."""
        self._stop_timers()
        self._state = _State.TERMINATED
        self._on_end(self)

    def _again(self) -> None:
        """Timers A and E."""
        self._count("sip_retransmissions", "out")
        self._send(self._data)
        self._pause = self._pause * 2 if self._invite else min(self._pause * 2, T2)
        self._repeat = self._clock.call_later(self._pause, self._again)

    def _timed_out(self) -> None:
        """Timers B and F."""
        self.fail(TransactionTimeout(f"{self.flow.remote} does not answer {self.request.method}"))

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
            # An unreliable flow may come back; a connection that is closed ends the transaction by itself.
            self._count("sip_unsent", error.code)
