"""Processor time by part of the work."""

from __future__ import annotations

import threading
import time
import types
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

T = TypeVar("T")


class CpuClock:
    """Adds up CPU seconds by part, each second once: what an inner part takes is not the outer's.

    Only the thread that works is measured, so waiting costs nothing. Safe to use from many threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._totals: dict[str, float] = {}
        self._inner = threading.local()

    @property
    def totals(self) -> dict[str, float]:
        """CPU seconds by part since the start."""
        with self._lock:
            return dict(self._totals)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count what the block takes as `name`; it must not await."""
        inner = self._inner
        outside, inner.s = getattr(inner, "s", 0.0), 0.0
        started = time.thread_time()
        try:
            yield
        finally:
            spent = time.thread_time() - started
            with self._lock:
                self._totals[name] = self._totals.get(name, 0.0) + spent - inner.s
            inner.s = outside + spent

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
