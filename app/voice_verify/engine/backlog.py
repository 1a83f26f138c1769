"""Audio of one stream that waits to be heard."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from voice_verify.engine.encoding import Block, Encoding


class Waiting(NamedTuple):
    """`arrived`: when the service got it, on the monotonic clock."""

    arrived: float
    encoding: Encoding
    samples: Block


class Backlog:
    """A first-in first-out queue of samples; its owner locks and bounds it."""

    def __init__(self) -> None:
        self._blocks: deque[Waiting] = deque()
        self._samples = 0

    def __len__(self) -> int:
        return self._samples

    @property
    def oldest(self) -> float | None:
        """When the oldest samples arrived; None when there are none."""
        return self._blocks[0].arrived if self._blocks else None

    def push(self, block: Waiting) -> None:
        self._blocks.append(block)
        self._samples += len(block.samples)

    def take(self, limit: int) -> list[Waiting]:
        """Remove and return the oldest samples, at most `limit`."""
        taken: list[Waiting] = []
        room = min(limit, self._samples)
        self._samples -= room
        while room > 0:
            block = self._blocks.popleft()
            if len(block.samples) > room:
                self._blocks.appendleft(block._replace(samples=block.samples[room:]))
                block = block._replace(samples=block.samples[:room])
            taken.append(block)
            room -= len(block.samples)
        return taken

    def clear(self) -> None:
        self._blocks.clear()
        self._samples = 0
