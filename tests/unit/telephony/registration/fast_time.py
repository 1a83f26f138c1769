"""An event loop that does not wait: when no socket has anything to say, its clock goes to the next timer at once."""

from __future__ import annotations

import asyncio
import selectors
import socket
from collections.abc import Coroutine
from typing import Any

# Between sockets of one process on the loopback; in it nothing is under way unseen.
_GRACE_S = 0.002


class _Impatient(selectors.DefaultSelector):
    """`skipped`: seconds that nobody had to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.skipped = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        ready = super().select(min(timeout, _GRACE_S))
        if not ready:
            self.skipped += timeout
        return ready


class FastLoop(asyncio.SelectorEventLoop):
    """Hours pass in the time that the work in them takes."""

    def __init__(self) -> None:
        self._impatient = _Impatient()
        super().__init__(self._impatient)

    def time(self) -> float:
        return super().time() + self._impatient.skipped

    async def getaddrinfo(self, *arguments: Any, **options: Any) -> Any:
        """Without a thread, during which time would run away."""
        return socket.getaddrinfo(*arguments, **options)


def run(work: Coroutine[Any, Any, None]) -> None:
    """`asyncio.run` in fast time."""
    with asyncio.Runner(loop_factory=FastLoop) as runner:
        runner.run(work)
