"""The time that licences go by cannot be turned back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from voice_verify.services.licence_time import LicenceTime

ISSUED = datetime(2026, 1, 31, tzinfo=UTC)
YEARS = timedelta(days=3650)


class Machine:
    """Its clock, which anybody may set, and how long it runs, which nobody may."""

    def __init__(self) -> None:
        self.clock = ISSUED + timedelta(days=10)
        self.running_s = 1000.0
        self.time = LicenceTime(lambda: self.clock, lambda: self.running_s)
        self.time.raise_to(ISSUED)

    def run(self, days: float) -> None:
        self.clock += timedelta(days=days)
        self.running_s += days * 86400


def test_is_the_clock_as_long_as_that_can_be_right() -> None:
    machine = Machine()
    assert machine.time.now() == machine.clock
    machine.run(20)
    assert (machine.time.now(), machine.time.problem) == (machine.clock, None)
    machine.clock -= timedelta(days=5)
    assert (machine.time.now(), machine.time.problem) == (machine.clock, None)


def test_goes_on_when_the_clock_is_set_back() -> None:
    machine = Machine()
    machine.run(20)
    machine.clock -= YEARS
    assert machine.time.now() == ISSUED + timedelta(days=20)
    machine.run(5)
    assert machine.time.now() == ISSUED + timedelta(days=25)
    assert "2016-" in str(machine.time.problem)
    assert "2026-02-25" in str(machine.time.problem)


def test_forgets_a_clock_that_was_ahead() -> None:
    machine = Machine()
    machine.clock += YEARS
    assert machine.time.now() == machine.clock
    machine.clock -= YEARS
    assert machine.time.now() == machine.clock == ISSUED + timedelta(days=10)


def test_a_bound_only_rises() -> None:
    machine = Machine()
    machine.run(20)
    machine.time.raise_to(ISSUED)
    assert machine.time.bound == ISSUED + timedelta(days=20)
    machine.time.raise_to(ISSUED + timedelta(days=30))
    machine.run(1)
    assert machine.time.bound == ISSUED + timedelta(days=31)


def test_clocks_may_differ_by_a_day() -> None:
    machine = Machine()
    machine.clock = ISSUED - timedelta(hours=23)
    assert (machine.time.now(), machine.time.problem) == (ISSUED, None)
    machine.clock -= timedelta(hours=2)
    assert machine.time.problem is not None
