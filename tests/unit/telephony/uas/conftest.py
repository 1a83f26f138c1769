"""Worlds for the tests of calls."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from .virtual import run
from .world import World, world_of

Scenario = Callable[[World], Coroutine[Any, Any, None]]
Play = Callable[..., None]

# The longest that a transaction lives (64 times T1), twice.
SETTLE_S = 70.0


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Play:
    """Runs a scenario in a world of its own; at the end everything has to have been given back."""

    def played(scenario: Scenario, **settings: object) -> None:
        loop, make = world_of(monkeypatch, **settings)

        async def whole() -> None:
            world = make()
            await scenario(world)
            await world.pass_time(SETTLE_S)
            await world.close()
            await world.pass_time(SETTLE_S)
            world.nothing_is_left()
            await world.sip.close()
            assert not loop.timers

        run(whole(), loop)

    return played
