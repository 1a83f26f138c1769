"""Audio of one stream that waits for the worker."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray


class Backlog:
    """A first-in first-out queue of samples; its owner locks and bounds it."""

    def __init__(self) -> None:
        self._blocks: deque[NDArray[np.float32]] = deque()
        self._samples = 0

    def __len__(self) -> int:
        return self._samples

    def push(self, block: NDArray[np.float32]) -> None:
        self._blocks.append(block)
        self._samples += len(block)

    def take(self, limit: int) -> list[NDArray[np.float32]]:
        """Remove and return the oldest samples, at most `limit`."""
        taken: list[NDArray[np.float32]] = []
        room = min(limit, self._samples)
        self._samples -= room
        while room > 0:
            block = self._blocks.popleft()
            if len(block) > room:
                self._blocks.appendleft(block[room:])
                block = block[:room]
            taken.append(block)
            room -= len(block)
        return taken

    def clear(self) -> None:
        self._blocks.clear()
        self._samples = 0
