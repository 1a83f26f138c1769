"""How often a source may do something: a token bucket for each."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

# Who is forgotten first has been quiet longest; a flood from forged addresses must not take memory.
_MAX_SOURCES = 10_000


class RateLimit:
    """`burst` at once, then `a_second`; `clock` gives seconds that only grow."""

    def __init__(self, a_second: float, burst: int, clock: Callable[[], float]) -> None:
        self._a_second = a_second
        self._burst = burst
        self._clock = clock
        # What each source has left, and when that was so.
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def exhausted(self, source: str) -> bool:
        return self._now(source) < 1

    def spend(self, source: str) -> bool:
        """Whether the source may once more; it has used it then."""
        left = self._now(source)
        allowed = left >= 1
        self._left[source] = (left - 1 if allowed else left, self._clock())
        self._left.move_to_end(source)
        if len(self._left) > _MAX_SOURCES:
            self._left.popitem(last=False)
        return allowed

    def _now(self, source: str) -> float:
        known = self._left.get(source)
        if known is None:
            return float(self._burst)
        left, since = known
        return min(float(self._burst), left + (self._clock() - since) * self._a_second)
