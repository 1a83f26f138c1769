"""What must hold before anything is done: when it does not, somebody else was there, and going on could do harm."""

from __future__ import annotations

from vvctl.upgrade.context import Seen
from vvctl.upgrade.errors import WorldChanged
from vvctl.upgrade.history import Decision
from vvctl.upgrade.steps import State, Step
from vvctl.upgrade.world import Role

# Taking the lock and giving it back harms nobody, whatever the world looks like.
_ALWAYS = {State.LOCK, State.UNLOCK}


def check(seen: Seen, step: Step) -> None:
    """Raises WorldChanged when `step` must not be worked on."""
    if step.state in _ALWAYS:
        return
    world, record = seen.world, seen.record
    if world.data_id is None:
        raise WorldChanged("the data disk is gone", hint="find it before anything else; nothing was touched")
    if world.foreign is not None:
        raise WorldChanged(f"the data disk is attached to {world.foreign}", hint="detach it there, then resume")
    _check_running(seen)
    if world.old is None and (record.decided(Decision.ROLLBACK) or not record.decided(Decision.COMMIT)):
        raise WorldChanged(
            "the old system is gone",
            hint="the data disk is not; docs/upgrade.md tells how to put a system on it by hand",
        )
    if step.state is State.FINALIZE and world.data_at is not Role.NEW:
        raise WorldChanged("the data disk is not with the new system", hint="attach it there; nothing was deleted")
    # The last that a commit does is to give the lock back.
    if world.lock != record.id and not (step.state is State.COMMIT and step.done(seen)):
        raise WorldChanged("the lock was taken away", hint="somebody else may be at work; ask them, then resume")


def _check_running(seen: Seen) -> None:
    world = seen.world
    if world.old is not None and world.old.running and world.new is not None and world.new.running:
        raise WorldChanged(
            f"{world.old.name} and {world.new.name} both run",
            hint="stop the one that does not have the data disk, then resume",
        )
    for role in Role:
        system = world.system(role)
        if system is not None and system.running and world.data_at is not role:
            raise WorldChanged(f"{system.name} runs without the data disk", hint="switch it off, then resume")
