"""A loop whose time passes as fast as nothing happens: hours of calls in a moment, and every order repeatable."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any


class _Selector(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    """Looks at real sockets, and lets time pass instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everybody waits for something that will not happen"
            self.now += max(timeout, 0.0)
        return list(ready)


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._passing = _Selector()
        super().__init__(self._passing)

    def time(self) -> float:
        return self._passing.now

    @property
    def timers(self) -> list[asyncio.TimerHandle]:
        """What is still to happen at a set time."""
        scheduled: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        return [handle for handle in scheduled if not handle.cancelled()]


def run(scenario: Coroutine[Any, Any, None], loop: VirtualLoop) -> None:
    """Run it to its end; an exception in a callback of the loop fails it, too."""
    failures: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: failures.append(context))
    try:
        loop.run_until_complete(scenario)
    finally:
        loop.close()
    assert not failures, failures
