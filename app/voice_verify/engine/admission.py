"""Whether the engine should get another stream, judged by what it tells of itself."""

from __future__ import annotations

import time

# Behind by that much, for that long, those that run would suffer from one more.
LAG_S = 1.0
LAG_FOR_S = 2.0
# Its threads have next to no time left. A call that has just come is not at work yet, so many of them may be let in
# until the engine is behind: this is known earlier.
BUSY_SHARE = 0.85
BUSY_FOR_S = 0.9
# With fewer streams, one whose audio comes in a lump keeps the threads busy for a moment; only lag counts then.
BUSY_STREAMS = 8


class Admission:
    """Told the state of the engine again and again by one thread; asked by others."""

    def __init__(self) -> None:
        self._behind_since: float | None = None
        self._busy_since: float | None = None

    def told_lag(self, lag_s: float) -> None:
        """The age of the oldest audio that was not heard yet."""
        self._behind_since = _since(self._behind_since, lag_s > LAG_S)

    def told_busy(self, share: float, streams: int) -> None:
        """The share of time that the busiest kind of thread worked lately, and how many streams are open."""
        self._busy_since = _since(self._busy_since, share > BUSY_SHARE and streams >= BUSY_STREAMS)

    @property
    def refusal(self) -> str | None:
        """Why no more streams should be taken now; None when they should."""
        now = time.monotonic()
        if self._behind_since is not None and now - self._behind_since >= LAG_FOR_S:
            return f"has been more than {LAG_S:.0f} s behind for {now - self._behind_since:.0f} s"
        if self._busy_since is not None and now - self._busy_since >= BUSY_FOR_S:
            return "has no time left for another stream"
        return None


def _since(since: float | None, holds: bool) -> float | None:
    return (since or time.monotonic()) if holds else None
