"""Verification queries about calls, twice a second on each: a process of its own."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe

import uvloop

from tests.load.call import OK, QUERY_S
from tests.load.http import Api, Connection


@dataclass(frozen=True)
class Plan:
    """Ask whether `speaker` speaks on the stream `uuid`, each QUERY_S from `begin` until `until` (time.monotonic())."""

    uuid: str
    speaker: str
    begin: float
    until: float


@dataclass
class Answers:
    """By query: seconds from when it was due until its answer, and the end of its audio window before the answer.

    The latter is less the call's smallest, so that it is how much later than at best the audio was heard.
    """

    latency_s: list[float] = field(default_factory=list)
    late_s: list[float] = field(default_factory=list)
    failed: int = 0


class Asker:
    """The process that asks, pinned to `core`."""

    def __init__(self, api: Api, plans: Sequence[Plan], core: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._results, remote = context.Pipe(duplex=False)
        self._process = context.Process(target=_main, args=(api, plans, core, remote), daemon=True)
        self._process.start()
        remote.close()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def answers(self) -> list[Answers]:
        """Wait for the end; by call."""
        answers: list[Answers] = self._results.recv()
        self._process.join()
        return answers


def _main(api: Api, plans: Sequence[Plan], core: int, results: Pipe) -> None:
    os.sched_setaffinity(0, {core})
    gc.disable()
    results.send(uvloop.run(_ask_all(api, plans)))


async def _ask_all(api: Api, plans: Sequence[Plan]) -> list[Answers]:
    return await asyncio.gather(*(_ask(api, plan) for plan in plans))


async def _ask(api: Api, plan: Plan) -> Answers:
    answers = Answers()
    request = api.request("POST", f"/api/v2/streams/{plan.uuid}/verify", {"speaker": plan.speaker})
    connection = Connection(api)
    behind = []
    due = plan.begin
    while due < plan.until:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        answer = await connection.ask(request)
        answered = time.monotonic()
        answers.latency_s.append(answered - due)
        if answer.status == OK:
            behind.append(answered - answer.document()["audio_window"]["end_s"])
        else:
            answers.failed += 1
        due += QUERY_S
    connection.close()
    answers.late_s = [value - min(behind, default=0.0) for value in behind]
    return answers
