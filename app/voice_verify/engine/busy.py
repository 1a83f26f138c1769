"""How much of their time threads work: what is left over is what the engine can still take."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Busy:
    """Time at work of `threads` threads of one kind.

    By the clock on the wall: a thread that waits for a processor, which others have, is as busy as one that computes.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._lock = threading.Lock()
        # When each began that is at work, and the time of work that is done.
        self._since: dict[int, float] = {}
        self._done_s = 0.0
        self._asked = (time.monotonic(), 0.0)

    @contextmanager
    def working(self) -> Iterator[None]:
        """What runs inside is work."""
        identity, began = threading.get_ident(), time.monotonic()
        with self._lock:
            self._since[identity] = began
        try:
            yield
        finally:
            with self._lock:
                del self._since[identity]
                self._done_s += time.monotonic() - began

    def share(self) -> float:
        """The share of their time, 0 to 1, that the threads worked since this was asked last."""
        now = time.monotonic()
        with self._lock:
            worked_s = self._done_s + sum(now - began for began in self._since.values())
            (then, worked_then_s), self._asked = self._asked, (now, worked_s)
        return (worked_s - worked_then_s) / max((now - then) * self._threads, 1e-9)
