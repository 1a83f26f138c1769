"""The time that licences go by: the machine's clock, unless that is provably behind."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

# Clocks differ by so much, and a licence is issued on a date.
TOLERANCE = timedelta(days=1)


def _utc() -> datetime:
    return datetime.now(UTC)


class LicenceTime:
    """Keeps a lower bound of the real time, which goes on while the service runs and which no clock can turn back.

    The bound comes from what was true for certain: the date on which a licence was issued, and the time for which the
    service has run since, by a clock that nobody sets. The machine's own clock never raises it, so that one that was
    far ahead for a moment, such as before the first synchronisation, does no lasting harm.
    """

    def __init__(self, clock: Callable[[], datetime] = _utc, running_s: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._running_s = running_s
        self._bound = datetime.min.replace(tzinfo=UTC)
        self._since_s = running_s()

    def raise_to(self, moment: datetime) -> None:
        """It is `moment` at least."""
        self._bound, self._since_s = max(self.bound, moment), self._running_s()

    @property
    def bound(self) -> datetime:
        """It is this late at least."""
        return self._bound + timedelta(seconds=self._running_s() - self._since_s)

    def now(self) -> datetime:
        """In UTC."""
        return max(self._clock(), self.bound)

    @property
    def problem(self) -> str | None:
        """What is wrong with the machine's clock; None when nothing is known."""
        clock, bound = self._clock(), self.bound
        if bound - clock <= TOLERANCE:
            return None
        return (
            f"The clock of this machine says {clock.date()}, but it is {bound.date()} at least, which is what the "
            "licence goes by. Set the clock right, best by time servers."
        )
