"""Processor time by part of the work."""

from __future__ import annotations

import threading
import time
import types
from collections.abc import Awaitable, Callable, Generator
from contextlib import AbstractContextManager
from typing import Any, TypeVar, cast

T = TypeVar("T")


class _Inner(threading.local):
    s = 0.0


class CpuClock:
    """Adds up CPU seconds by part, each second once: what an inner part takes is not the outer's.

    Only the thread that works is measured, so waiting costs nothing. Safe to use from many threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._totals: dict[str, float] = {}
        # What inner parts took, of the part that each thread is in.
        self.inner = _Inner()

    @property
    def totals(self) -> dict[str, float]:
        """CPU seconds by part since the start."""
        with self._lock:
            return dict(self._totals)

    def add(self, name: str, spent_s: float) -> None:
        with self._lock:
            self._totals[name] = self._totals.get(name, 0.0) + spent_s

    def part(self, name: str) -> AbstractContextManager[None]:
        """Count what the block takes as `name`; it must not await."""
        return _Part(self, name)

    @types.coroutine
    def steps(self, name: str, work: Awaitable[T]) -> Generator[Any, Any, T]:
        """Await `work` and count what it takes as `name`, without what runs while it waits."""
        running = work.__await__()
        resume: Callable[[Any], Any] = running.send
        value: Any = None
        while True:
            try:
                with self.part(name):
                    awaited = resume(value)
            except StopIteration as end:
                return cast(T, end.value)
            try:
                resume, value = running.send, (yield awaited)
            except BaseException as error:
                # Cancelled, or what was awaited failed: that is for the work to see.
                resume, value = running.throw, error


class _Part:
    """A block that is measured. A class, because a generator costs twice as much and every request takes four."""

    __slots__ = ("_clock", "_name", "_outside_s", "_started")

    def __init__(self, clock: CpuClock, name: str) -> None:
        self._clock = clock
        self._name = name

    def __enter__(self) -> None:
        inner = self._clock.inner
        self._outside_s, inner.s = inner.s, 0.0
        self._started = time.thread_time()

    def __exit__(self, *_: object) -> None:
        spent_s = time.thread_time() - self._started
        inner = self._clock.inner
        self._clock.add(self._name, spent_s - inner.s)
        inner.s = self._outside_s + spent_s
