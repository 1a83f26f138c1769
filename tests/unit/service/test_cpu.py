"""Processor time is counted once, and only where it is spent."""

from __future__ import annotations

import asyncio
import time

import pytest

from voice_verify.cpu import CpuClock


def work(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_an_inner_part_is_not_counted_twice() -> None:
    clock = CpuClock()
    with clock.part("outer"):
        work(0.02)
        with clock.part("inner"):
            work(0.05)
    assert clock.totals["inner"] == pytest.approx(0.05, abs=0.01)
    assert clock.totals["outer"] == pytest.approx(0.02, abs=0.01)


def test_a_coroutine_is_not_charged_for_what_runs_while_it_waits() -> None:
    clock = CpuClock()

    async def waiting() -> str:
        work(0.02)
        await asyncio.sleep(0.05)
        return "done"

    async def busy() -> None:
        await asyncio.sleep(0.01)
        work(0.1)

    async def both() -> str:
        answer, _ = await asyncio.gather(clock.steps("waiting", waiting()), busy())
        return answer

    assert asyncio.run(both()) == "done"
    assert clock.totals["waiting"] == pytest.approx(0.02, abs=0.01)


def test_a_failure_inside_reaches_the_coroutine_and_its_caller() -> None:
    clock = CpuClock()
    seen: list[str] = []

    async def cancelled() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    async def failing() -> None:
        raise ValueError("wrong")

    async def main() -> None:
        task = asyncio.ensure_future(clock.steps("cancelled", cancelled()))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(ValueError, match="wrong"):
            await clock.steps("failing", failing())

    asyncio.run(main())
    assert seen == ["cancelled"]
