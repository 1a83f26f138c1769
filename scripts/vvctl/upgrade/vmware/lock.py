"""Whose upgrade of a machine is under way: a mark on the old machine, by compare-and-set of its configuration.

vCenter refuses a change that is based on another version of the configuration than the one in force, so of two who
find the machine free only one succeeds.
"""

from __future__ import annotations

from vvctl.upgrade.errors import LockedByAnother
from vvctl.upgrade.vmware import hands, marks
from vvctl.upgrade.vmware.facts import Facts
from vvctl.upgrade.vmware.session import Session
from vvctl.upgrade.vmware.view import Machine, View
from vvctl.upgrade.world import Role


def holder(view: View) -> Machine | None:
    """The machine that carries the lock: the new one only when the old one is deleted."""
    return view.old or view.new


def held_by(view: View) -> str | None:
    machine = holder(view)
    return machine.marks.get(marks.LOCK) or None if machine is not None else None


def take(session: Session, facts: Facts, view: View, upgrade: str) -> None:
    """Raises LockedByAnother."""
    machine = holder(view) or view.required(Role.OLD)
    if not _take(session, facts, machine, upgrade):
        return
    hands.show(session, machine, f"{upgrade}: under way, by {facts.by}")


def take_new(session: Session, facts: Facts, view: View, upgrade: str) -> None:
    """Take it on the new machine as well, before the old one is deleted with its own."""
    _take(session, facts, view.required(Role.NEW), upgrade)


def give_back(session: Session, view: View, upgrade: str) -> None:
    """On every machine where this upgrade has it."""
    for machine in (view.old, view.new):
        if machine is not None and machine.marks.get(marks.LOCK) == upgrade:
            hands.mark(session, machine, options={marks.LOCK: "", marks.LOCK_BY: ""})
            former = marks.FORMER in machine.marks
            hands.show(session, machine, f"{upgrade}: kept until it is final" if former else "")


def _take(session: Session, facts: Facts, machine: Machine, upgrade: str) -> bool:
    """Whether it was free; raises LockedByAnother."""
    held = machine.marks.get(marks.LOCK)
    if held == upgrade:
        return False
    if held:
        raise LockedByAnother(
            f"{machine.name} is being upgraded by {machine.marks.get(marks.LOCK_BY, 'somebody')} (upgrade {held})",
            hint=f"wait; when that upgrade's journal is lost, remove {marks.LOCK} from the machine's advanced "
            "configuration once docs/upgrade-vmware.md has been followed",
        )
    hands.mark(session, machine, options={marks.LOCK: upgrade, marks.LOCK_BY: facts.by})
    return True
