"""What the steps of one upgrade work with."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from vvctl.upgrade.appliance import Appliance
from vvctl.upgrade.errors import OutOfSight, ProviderError
from vvctl.upgrade.options import Options
from vvctl.upgrade.provider import Provider
from vvctl.upgrade.record import UpgradeRecord
from vvctl.upgrade.world import World

ATTEMPTS = 6
# Of the first pause: a platform that does not answer is asked for five minutes.
_OUT_OF_SIGHT = 600
_FIRST_PAUSE_S = 0.5
# Of the first one.
_LONGEST_PAUSE = 30


@dataclass(frozen=True)
class Seen:
    """What tells whether a step is done."""

    world: World
    record: UpgradeRecord
    provider: Provider
    passed: set[str]


@dataclass
class Context:
    """One upgrade in this process. `passed`: the checks that it has made, which no look at the world can tell."""

    provider: Provider
    appliance: Appliance
    record: UpgradeRecord
    options: Options
    say: Callable[[str], None]
    passed: set[str] = field(default_factory=set)

    def look(self) -> World:
        """What is there now; a provider that does not answer is asked again. Raises OutOfSight."""
        began = time.monotonic()
        for attempt in count():
            try:
                return self.provider.observe()
            except ProviderError as error:
                if not error.transient or time.monotonic() - began > _OUT_OF_SIGHT * self._first_pause_s:
                    raise OutOfSight(
                        f"nobody can tell what is there: {error.message}",
                        hint="; ".join(
                            filter(None, [error.hint, "nothing was decided: `vvctl upgrade resume` goes on"])
                        ),
                    ) from error
                self.say(f"{error.message}; asking again")
                self.pause(attempt)
        raise AssertionError("the last attempt returns or raises")

    def seen(self, world: World) -> Seen:
        return Seen(world, self.record, self.provider, self.passed)

    def pause(self, attempt: int) -> None:
        """Wait before another attempt, longer from one to the next."""
        time.sleep(self._first_pause_s * min(2**attempt, _LONGEST_PAUSE))

    @property
    def _first_pause_s(self) -> float:
        """With short polls, as tests have, shorter."""
        return min(self.options.poll_s, _FIRST_PAUSE_S)

    def until(self, what: str, asked: Callable[[], str | None], limit_s: float) -> bool:
        """Ask until the answer is None, else it says what is still missing; False when `limit_s` have passed."""
        began = time.monotonic()
        while (missing := asked()) is not None:
            passed = time.monotonic() - began
            if passed > limit_s:
                return False
            self.say(f"{what}: {missing} ({passed:.0f} of {limit_s:.0f} s)")
            time.sleep(self.options.poll_s)
        return True
