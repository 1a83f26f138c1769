"""The load generator: a process of its own that makes many calls at once and reports on each."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection

import uvloop
from websockets.frames import Frame, Opcode

from .call import Call, Outcome, Plan
from .http import Api

BYTES_PER_S = 8000
"""A-law at 8 kHz."""


@dataclass(frozen=True)
class Load:
    """Calls to make until a moment of time.monotonic(); `conversations` are A-law, one byte a sample."""

    api: Api
    conversations: Sequence[bytes]
    frame_ms: int
    plans: Sequence[Plan]
    until: float


class Generator:
    """A pinned process for one load."""

    def __init__(self, load: Load, core: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._results, remote = context.Pipe(duplex=False)
        self._process = context.Process(target=_main, args=(load, core, remote), daemon=True)
        self._process.start()
        remote.close()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def outcomes(self) -> list[Outcome]:
        """Wait for the end of the load."""
        outcomes: list[Outcome] = self._results.recv()
        self._process.join()
        return outcomes


def _main(load: Load, core: int, results: Connection) -> None:
    os.sched_setaffinity(0, {core})
    # A pause of the generator would be counted as latency of the service.
    gc.disable()
    results.send(uvloop.run(_make_calls(load)))


async def _make_calls(load: Load) -> list[Outcome]:
    size = load.frame_ms * BYTES_PER_S // 1000
    frames = [_frames(conversation, size) for conversation in load.conversations]
    calls = [Call(plan, frames[plan.conversation], load.frame_ms / 1000, load.api) for plan in load.plans]
    return await asyncio.gather(*(call.run(load.until) for call in calls))


def _frames(audio: bytes, size: int) -> list[bytes]:
    whole = len(audio) // size * size
    return [Frame(Opcode.BINARY, audio[start : start + size]).serialize(mask=True) for start in range(0, whole, size)]
