"""Nothing is done in a world that somebody else has changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from vvctl.upgrade import guard, steps
from vvctl.upgrade.context import Seen
from vvctl.upgrade.errors import WorldChanged
from vvctl.upgrade.history import Decision
from vvctl.upgrade.local.provider import make
from vvctl.upgrade.options import Options
from vvctl.upgrade.provider import Provider
from vvctl.upgrade.record import UpgradeRecord
from vvctl.upgrade.steps import State, Step
from vvctl.upgrade.world import Role, System, World

OLD, NEW = System("o", "old (o)", running=False), System("n", "new (n)", running=False)
FACTS = {
    **dict.fromkeys(("machine", "data_disk", "directory", "old", "ova", "version"), "x"),
    "format_epoch": 1,
}
STEPS = {step.state: step for step in (*steps.forward(safety_before_move=False), *steps.back(), *steps.finalize())}


@pytest.fixture
def record(tmp_path: Path) -> Iterator[UpgradeRecord]:
    made = UpgradeRecord(tmp_path / "upgrade")
    made.begin("local", FACTS, {"url": "u", "options": Options().document()})
    yield made
    made.close()


def world(record: UpgradeRecord, **differs: object) -> World:
    """Both systems are off, the data disk is with the old one."""
    usual = World(
        old=OLD,
        new=NEW,
        data_id="disk",
        data_at=Role.OLD,
        foreign=None,
        safety=None,
        identity_at=Role.OLD,
        active=Role.OLD,
        lock=record.id,
    )
    return replace(usual, **differs)


def seen(record: UpgradeRecord, **differs: object) -> Seen:
    provider: Provider = make(FACTS, record.id, 0.05)
    return Seen(world(record, **differs), record, provider, set())


@pytest.mark.parametrize("step", STEPS.values(), ids=list(STEPS))
def test_as_it_should_be(record: UpgradeRecord, step: Step) -> None:
    if step.state is State.FINALIZE:
        guard.check(seen(record, data_at=Role.NEW), step)
    else:
        guard.check(seen(record), step)


@pytest.mark.parametrize(
    ("differs", "says"),
    [
        ({"data_id": None, "data_at": None}, "the data disk is gone"),
        ({"foreign": "spare (vm-9)"}, r"is attached to spare \(vm-9\)"),
        ({"old": None}, "the old system is gone"),
        ({"lock": None}, "the lock was taken away"),
        ({"lock": "another"}, "the lock was taken away"),
        ({"new": replace(NEW, running=True)}, r"new \(n\) runs without the data disk"),
        ({"old": replace(OLD, running=True), "data_at": Role.NEW}, r"old \(o\) runs without the data disk"),
        ({"old": replace(OLD, running=True), "data_at": None}, "runs without the data disk"),
        ({"old": replace(OLD, running=True), "new": replace(NEW, running=True)}, "both run"),
    ],
)
@pytest.mark.parametrize("state", [State.STAGE_NEW, State.MOVE_DATA, State.START, State.RESTORE_DATA, State.DROP_NEW])
def test_what_stops_it(record: UpgradeRecord, state: State, differs: dict[str, object], says: str) -> None:
    with pytest.raises(WorldChanged, match=says) as caught:
        guard.check(seen(record, **differs), STEPS[state])
    assert caught.value.hint


@pytest.mark.parametrize("state", [State.LOCK, State.UNLOCK])
def test_the_lock_may_be_taken_and_given_back_in_any_world(record: UpgradeRecord, state: State) -> None:
    guard.check(seen(record, data_id=None, data_at=None, old=None, lock="another"), STEPS[state])


def test_a_commit_that_is_done_has_given_the_lock_back(record: UpgradeRecord) -> None:
    done = {"data_at": Role.NEW, "active": Role.NEW, "lock": None}
    with pytest.raises(WorldChanged, match="lock"):
        guard.check(seen(record, **done), STEPS[State.COMMIT])
    record.decide(Decision.OPENED)
    guard.check(seen(record, **done), STEPS[State.COMMIT])


def test_the_old_system_is_needed_only_while_somebody_may_return_to_it(record: UpgradeRecord) -> None:
    record.decide(Decision.COMMIT)
    guard.check(seen(record, old=None, data_at=Role.NEW), STEPS[State.FINALIZE])
    record.decide(Decision.ROLLBACK)
    with pytest.raises(WorldChanged, match="the old system is gone"):
        guard.check(seen(record, old=None, data_at=Role.NEW), STEPS[State.RETURN_DATA])


def test_the_old_system_is_not_deleted_with_the_data_disk(record: UpgradeRecord) -> None:
    record.decide(Decision.COMMIT)
    with pytest.raises(WorldChanged, match="not with the new system"):
        guard.check(seen(record, data_at=Role.OLD), STEPS[State.FINALIZE])
