"""Things on their way from any thread to one event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")

# Who does not read loses the oldest, never the last ones.
WAITING = 256


class Outbox(Generic[Item]):
    """Made in the loop that gets what others put."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._items: deque[Item] = deque(maxlen=WAITING)
        self._arrived = asyncio.Event()

    def put(self, item: Item) -> None:
        """From any thread; never waits."""
        self._loop.call_soon_threadsafe(self._add, item)

    async def get(self) -> Item:
        while not self._items:
            self._arrived.clear()
            await self._arrived.wait()
        return self._items.popleft()

    def _add(self, item: Item) -> None:
        self._items.append(item)
        self._arrived.set()
