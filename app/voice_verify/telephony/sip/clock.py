"""Time as the transactions need it. An asyncio loop fits; tests bring a clock that they turn themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """A call that is still to come."""

    def cancel(self) -> None: ...


class Clock(Protocol):
    """Seconds that only grow, and calls later."""

    def time(self) -> float: ...

    def call_later(self, delay: float, callback: Callable[[], object], /) -> Timer: ...


# RFC 3261 table 4, in seconds: the estimate of a round trip, the longest pause between retransmissions, and how long a
# message stays in the network.
T1 = 0.5
T2 = 4.0
T4 = 5.0
# Timers B, F, H, J, L and M: after that long nobody will answer any more.
PATIENCE = 64 * T1
