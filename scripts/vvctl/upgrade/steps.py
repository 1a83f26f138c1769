"""The states of an upgrade, forward and back: how each is recognised as done, and what does it.

`done` looks at the world first and at the record only for what no look can tell. `do` may be cut off anywhere and
called again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from vvctl.upgrade import checks, quiet
from vvctl.upgrade.context import Context, Seen
from vvctl.upgrade.errors import WorldChanged
from vvctl.upgrade.history import Decision
from vvctl.upgrade.world import Role


class State(StrEnum):
    """Where an upgrade is."""

    LOCK = "LOCK"
    PREFLIGHT = "PREFLIGHT"
    STAGE_NEW = "STAGE_NEW"
    QUIESCE = "QUIESCE"
    SAFETY = "SAFETY"
    MOVE_DATA = "MOVE_DATA"
    IDENTITY = "IDENTITY"
    START = "START"
    HEALTH = "HEALTH"
    COMMIT = "COMMIT"
    FINALIZE = "FINALIZE"
    RESCUE = "RESCUE"
    STOP_NEW = "STOP_NEW"
    RESTORE_DATA = "RESTORE_DATA"
    RETURN_DATA = "RETURN_DATA"
    RETURN_IDENTITY = "RETURN_IDENTITY"
    START_OLD = "START_OLD"
    HEALTH_OLD = "HEALTH_OLD"
    OPEN_OLD = "OPEN_OLD"
    DROP_NEW = "DROP_NEW"
    UNLOCK = "UNLOCK"


@dataclass(frozen=True)
class Step:
    """One state. `says`: what happens in it, for a person."""

    state: State
    says: str
    done: Callable[[Seen], bool]
    do: Callable[[Context], None]


def forward(*, safety_before_move: bool) -> Sequence[Step]:
    """The way to the new system, in order; the point to return to always lies before its first write."""
    move = [_SAFETY, _MOVE_DATA] if safety_before_move else [_MOVE_DATA, _SAFETY]
    return [_LOCK, _PREFLIGHT, _STAGE_NEW, _QUIESCE, *move, _IDENTITY, _START, _HEALTH, _COMMIT]


def finish() -> Sequence[Step]:
    """What is left of the way to the new system once it was decided that it is in charge."""
    return [_START, _COMMIT]


def _start(context: Context) -> None:
    context.record.decide(Decision.MAY_WRITE)
    context.provider.start(Role.NEW)


def _commit(context: Context) -> None:
    context.record.decide(Decision.COMMIT)
    quiet.let_in(context)
    context.record.decide(Decision.OPENED)
    context.provider.mark_active(Role.NEW)
    context.provider.unlock()


def _take_safety(context: Context) -> None:
    if context.record.decided(Decision.MAY_WRITE):
        raise WorldChanged(
            "the new system may have written to the data disk, and there is no point to which it can be put back",
            hint="somebody else was there; the backup is beside the journal, docs/upgrade.md tells how to use it",
        )
    context.provider.take_safety()


def _restored(seen: Seen) -> bool:
    if seen.record.decided(Decision.MAY_WRITE):
        return seen.record.decided(Decision.RESTORED)
    return seen.world.safety is None or seen.provider.safety_before_move


def _restore(context: Context) -> None:
    if context.record.decided(Decision.MAY_WRITE):
        context.provider.restore_safety()
        context.record.decide(Decision.RESTORED)
    else:
        context.provider.drop_safety()


def _stays_up(seen: Seen) -> bool:
    old = seen.world.old
    return old is not None and old.running and not old.stopping


def _open_old(context: Context) -> None:
    context.record.decide(Decision.REOPEN)
    quiet.let_in(context)
    context.provider.mark_active(Role.OLD)


def _drop_new(context: Context) -> None:
    context.provider.drop_safety()
    context.provider.discard_new()


def _retire(context: Context) -> None:
    context.record.decide(Decision.FINALIZE)
    # The commit may have been cut off when calls were let in already.
    context.provider.mark_active(Role.NEW)
    context.provider.drop_safety()
    context.provider.retire(Role.OLD)


def _check(state: State, check: Callable[[Context], None]) -> Callable[[Context], None]:
    """A check that is made once in a process: no look at the world tells that it was made."""

    def do(context: Context) -> None:
        check(context)
        context.passed.add(state)

    return do


_LOCK = Step(
    State.LOCK,
    "take the machine for this upgrade, so that nobody else begins another",
    lambda seen: seen.world.lock == seen.record.id,
    lambda context: context.provider.lock(),
)
_PREFLIGHT = Step(
    State.PREFLIGHT,
    "look for anything that would stop it half-way",
    lambda seen: State.PREFLIGHT in seen.passed or seen.world.new is not None,
    _check(State.PREFLIGHT, checks.preflight),
)
_STAGE_NEW = Step(
    State.STAGE_NEW,
    "make the new system from the image, switched off and without the data disk",
    lambda seen: seen.world.new is not None and seen.world.new.staged,
    lambda context: context.provider.stage_new(),
)
_QUIESCE = Step(
    State.QUIESCE,
    "refuse new calls, wait for the running ones, make a backup and an inventory, shut the old system down",
    lambda seen: seen.record.before is not None and not seen.world.runs(Role.OLD),
    quiet.quiesce,
)
_MOVE_DATA = Step(
    State.MOVE_DATA,
    "detach the data disk from the old system and attach it to the new one",
    lambda seen: seen.world.data_at is Role.NEW,
    lambda context: context.provider.move_data(Role.NEW),
)
_SAFETY = Step(
    State.SAFETY,
    "make the point in time to which the data disk can be put back",
    lambda seen: seen.world.safety is not None,
    _take_safety,
)
_IDENTITY = Step(
    State.IDENTITY,
    "give the new system the addresses of the old one",
    lambda seen: seen.world.identity_at is Role.NEW,
    lambda context: context.provider.move_identity(Role.NEW),
)
_START = Step(
    State.START,
    "start the new system",
    lambda seen: seen.world.runs(Role.NEW) and seen.record.decided(Decision.MAY_WRITE),
    _start,
)
_HEALTH = Step(
    State.HEALTH,
    "wait until it is ready, compare every kind of record with the inventory, verify a known voice",
    lambda seen: State.HEALTH in seen.passed,
    _check(State.HEALTH, checks.health_of_new),
)
UNLOCK = Step(
    State.UNLOCK,
    "let others upgrade the machine",
    lambda seen: seen.world.lock != seen.record.id,
    lambda context: context.provider.unlock(),
)
_COMMIT = Step(
    State.COMMIT,
    "put the new system in charge and let calls in",
    lambda seen: (
        seen.record.decided(Decision.OPENED) and seen.world.active is Role.NEW and seen.world.lock != seen.record.id
    ),
    _commit,
)


def back() -> Sequence[Step]:
    """The way back to the old system, from wherever the way forward ended, in order."""
    return [
        _LOCK,
        Step(
            State.RESCUE,
            "make a backup of what the new system took in while it was in charge",
            lambda seen: (
                State.RESCUE in seen.passed or not seen.record.decided(Decision.COMMIT) or not seen.world.runs(Role.NEW)
            ),
            _check(State.RESCUE, quiet.rescue),
        ),
        Step(
            State.STOP_NEW,
            "stop the new system",
            lambda seen: not seen.world.runs(Role.NEW),
            lambda context: context.provider.cut_power(Role.NEW),
        ),
        Step(
            State.RESTORE_DATA,
            "put the data disk back to the point in time before the new system wrote to it",
            _restored,
            _restore,
        ),
        Step(
            State.RETURN_DATA,
            "attach the data disk to the old system",
            lambda seen: seen.world.data_at is Role.OLD,
            lambda context: context.provider.move_data(Role.OLD),
        ),
        Step(
            State.RETURN_IDENTITY,
            "give the old system its addresses back",
            lambda seen: seen.world.identity_at is Role.OLD,
            lambda context: context.provider.move_identity(Role.OLD),
        ),
        Step(
            State.START_OLD,
            "start the old system",
            lambda seen: not seen.record.decided(Decision.QUIET) or _stays_up(seen),
            lambda context: context.provider.start(Role.OLD),
        ),
        Step(
            State.HEALTH_OLD,
            "wait until it is ready and compare every kind of record with the inventory",
            lambda seen: (
                State.HEALTH_OLD in seen.passed
                or seen.record.decided(Decision.REOPEN)
                or not seen.record.decided(Decision.QUIET)
            ),
            _check(State.HEALTH_OLD, checks.health_of_old),
        ),
        Step(
            State.OPEN_OLD,
            "put the old system in charge and let calls in",
            lambda seen: (
                not seen.record.decided(Decision.QUIET)
                or (State.OPEN_OLD in seen.passed and seen.world.active is Role.OLD)
            ),
            _check(State.OPEN_OLD, _open_old),
        ),
        Step(
            State.DROP_NEW,
            "delete the new system and the point in time",
            lambda seen: seen.world.new is None and seen.world.safety is None,
            _drop_new,
        ),
        UNLOCK,
    ]


def finalize() -> Sequence[Step]:
    """What makes an upgrade final, in order: after that there is no way back."""
    return [
        _LOCK,
        Step(
            State.FINALIZE,
            "give up the point in time and delete the old system",
            lambda seen: seen.world.safety is None and seen.world.old is None,
            _retire,
        ),
        UNLOCK,
    ]
