"""Chunks of speech that wait for their embedding: the stream that has waited longest comes first."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Generic, NamedTuple, TypeVar

from voice_verify.engine.pipeline import Chunk

Owner = TypeVar("Owner")


class Queued(NamedTuple, Generic[Owner]):
    """`arrived`: when the audio that completed the chunk arrived."""

    owner: Owner
    chunk: Chunk
    arrived: float


class ChunkQueue(Generic[Owner]):
    """Shares the batches fairly among streams; its owner locks it.

    The chunks of a stream are embedded in their order and by one thread at a time, because each is added to its sum.
    """

    def __init__(self) -> None:
        # Longest waiting first; a stream that is served goes to the end.
        self._waiting: OrderedDict[Owner, deque[Queued[Owner]]] = OrderedDict()
        self._served: dict[Owner, float] = {}
        self._count = 0

    def __len__(self) -> int:
        """How many chunks wait, without those that are being embedded."""
        return self._count

    @property
    def is_ready(self) -> bool:
        """Whether `take` would return something."""
        return any(owner not in self._served for owner in self._waiting)

    @property
    def oldest(self) -> float | None:
        """When the oldest chunk arrived, of all that wait or are being embedded; None when there is none."""
        return min((*self._served.values(), *(chunks[0].arrived for chunks in self._waiting.values())), default=None)

    def has(self, owner: Owner) -> bool:
        """Whether a chunk of the stream waits or is being embedded."""
        return owner in self._waiting or owner in self._served

    def put(self, queued: Queued[Owner]) -> None:
        self._waiting.setdefault(queued.owner, deque()).append(queued)
        self._count += 1

    def take(self, limit: int) -> list[Queued[Owner]]:
        """Up to `limit` chunks, one of each stream in turn; `done` must follow."""
        batch: list[Queued[Owner]] = []
        free = [owner for owner in self._waiting if owner not in self._served]
        while free and len(batch) < limit:
            for owner in free[: limit - len(batch)]:
                queued = self._waiting[owner].popleft()
                self._served.setdefault(owner, queued.arrived)
                batch.append(queued)
                if self._waiting[owner]:
                    self._waiting.move_to_end(owner)
                else:
                    del self._waiting[owner]
            free = [owner for owner in free if owner in self._waiting]
        self._count -= len(batch)
        return batch

    def done(self, batch: list[Queued[Owner]]) -> None:
        """The chunks of `batch` were embedded, or failed."""
        for queued in batch:
            self._served.pop(queued.owner, None)

    def drop(self, owner: Owner) -> None:
        """Forget what waits of a stream."""
        self._count -= len(self._waiting.pop(owner, ()))
