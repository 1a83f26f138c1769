"""A 2xx to an INVITE is sent again until its ACK comes (RFC 3261, section 13.3.1.4), over every transport."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from voice_verify.telephony.sip import Response, ServerTransaction
from voice_verify.telephony.sip.clock import PATIENCE, T1, T2, Clock, Timer


@dataclass
class Confirmation:
    """Waits for one ACK; `missing` is called when it does not come. `offered`: it has to bring an answer."""

    transaction: ServerTransaction
    response: Response
    clock: Clock
    missing: Callable[[], None]
    offered: bool
    _timer: Timer | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._gives_up = self.clock.time() + PATIENCE
        self._pause = T1
        self.transaction.respond(self.response)
        self._timer = self.clock.call_later(self._pause, self._again)

    @property
    def cseq(self) -> int:
        """Number of the INVITE, and of its ACK."""
        return self.response.cseq.number

    def stop(self) -> None:
        """The ACK has come, or is no longer waited for."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _again(self) -> None:
        left = self._gives_up - self.clock.time()
        if left <= 0:
            self._timer = None
            self.missing()
            return
        self._pause = min(2 * self._pause, T2)
        self._timer = self.clock.call_later(min(self._pause, left), self._again)
        self.transaction.respond(self.response)
