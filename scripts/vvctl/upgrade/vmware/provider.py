"""An upgrade's hands on a vCenter: provider.py of the core says what each method promises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vvctl.upgrade.errors import ProviderError
from vvctl.upgrade.plan import Effect, Finding
from vvctl.upgrade.release import Release
from vvctl.upgrade.vmware import adapters, disks, hands, lock, marks, preflight, staging
from vvctl.upgrade.vmware.effects import effects
from vvctl.upgrade.vmware.facts import Facts, credentials
from vvctl.upgrade.vmware.session import Session
from vvctl.upgrade.vmware.view import Machine, View, data_disk, look, uses_file
from vvctl.upgrade.world import Role, System, World


class VmwareProvider:
    """One virtual machine, and the one that takes its place."""

    name = "vmware"
    # The snapshot is one of the new machine with the data disk, before its first start.
    safety_before_move = False

    def __init__(self, facts: Facts, upgrade: str, session: Session) -> None:
        self._facts = facts
        self._upgrade = upgrade
        self._session = session

    def target(self) -> Release:
        return Release(self._facts.version, self._facts.format_epoch)

    def observe(self) -> World:
        view, facts = self._look(), self._facts
        owners = [
            role
            for role in Role
            if (machine := view.machine(role)) is not None and data_disk(machine, facts) is not None
        ]
        foreign = [machine.name for machine in view.others if any(uses_file(disk, facts) for disk in machine.disks)]
        if len(owners) > 1:
            foreign.append(" and ".join(view.required(role).name for role in owners) + " at once")
        identity = [role for role in Role if adapters.has_identity(view.machine(role), facts)]
        return World(
            old=_system(view.old),
            new=_system(view.new, staged=view.new is not None and view.new.marks.get(marks.STAGED) == self._upgrade),
            data_id=facts.disk_uuid if view.file_exists else None,
            data_at=owners[0] if owners else None,
            foreign=", ".join(foreign) or None,
            safety=self._safety(view),
            identity_at=identity[0] if len(identity) == 1 else None,
            active=self._active(view),
            lock=lock.held_by(view),
        )

    def preflight(self) -> Sequence[Finding]:
        return list(preflight.findings(self._session, self._facts, self._look(), self._upgrade))

    def effects(self) -> Sequence[Effect]:
        return effects(self._facts, self._look(), self._upgrade)

    def lock(self) -> None:
        lock.take(self._session, self._facts, self._look(), self._upgrade)

    def unlock(self) -> None:
        lock.give_back(self._session, self._look(), self._upgrade)

    def stage_new(self) -> None:
        view = self._look()
        if view.new is not None:
            if view.new.marks.get(marks.STAGED) == self._upgrade:
                return
            staging.discard(self._session, self._without_data(view.new))
        image = staging.load(self._facts)
        staging.stage(self._session, self._facts, image, view.required(Role.OLD), self._upgrade)

    def discard_new(self) -> None:
        view = self._look()
        if view.new is not None:
            staging.discard(self._session, self._without_data(view.new))

    def ask_to_stop(self, role: Role) -> None:
        machine = self._look().required(role)
        if machine.running:
            hands.shut_down(self._session, machine)

    def cut_power(self, role: Role) -> None:
        machine = self._look().required(role)
        if machine.running:
            hands.power_off(self._session, machine)

    def start(self, role: Role) -> None:
        view = self._look()
        machine = view.required(role)
        if machine.running:
            return
        if data_disk(machine, self._facts) is None or not adapters.has_identity(machine, self._facts):
            raise ProviderError(f"{machine.name} has not both the data disk and the addresses, so it is not started")
        self._check_off(view, role.other)
        hands.power_on(self._session, machine)

    def move_data(self, to: Role) -> None:
        view = self._look()
        self._check_off(view, Role.OLD)
        self._check_off(view, Role.NEW)
        giver = view.machine(to.other)
        if giver is not None:
            disks.detach(self._session, giver, self._facts)
        disks.attach(self._session, view.required(to), self._facts)

    def take_safety(self) -> None:
        machine = self._look().required(Role.NEW)
        if data_disk(machine, self._facts) is None:
            raise ProviderError(f"{machine.name} does not have the data disk")
        disks.take_snapshot(self._session, machine, self._upgrade)

    def restore_safety(self) -> None:
        view = self._look()
        machine = view.required(Role.NEW)
        self._check_off(view, Role.NEW)
        if machine.marks.get(marks.RESTORED) != self._upgrade:
            disks.revert(self._session, machine, self._upgrade)
            machine = self._look().required(Role.NEW)
            hands.mark(self._session, machine, options={marks.RESTORED: self._upgrade})
        self.drop_safety()

    def drop_safety(self) -> None:
        machine = self._look().new
        if machine is not None:
            disks.remove_snapshot(self._session, machine, self._upgrade)

    def move_identity(self, to: Role) -> None:
        view = self._look()
        self._check_off(view, to.other)
        giver = view.machine(to.other)
        if giver is not None:
            adapters.give_up(self._session, giver, self._facts)
        adapters.take(self._session, view.required(to), self._facts)

    def mark_active(self, role: Role) -> None:
        view, upgrade, name = self._look(), self._upgrade, self._facts.name
        old, new = view.required(Role.OLD), view.machine(Role.NEW)
        if role is Role.NEW:
            # The name must be free first; the mark on the new machine, which counts, is the last.
            self._mark(old, marks.former_name(name, upgrade), {marks.FORMER: upgrade})
            self._mark(view.required(Role.NEW), name, {marks.ACTIVE: upgrade})
            return
        if new is not None:
            self._mark(new, marks.staged_name(name, upgrade), {marks.ACTIVE: ""})
        self._mark(old, name, {marks.FORMER: ""})

    def retire(self, role: Role) -> None:
        view = self._look()
        machine = view.machine(role)
        if machine is None:
            return
        self._without_data(machine)
        self._check_off(view, role)
        other = view.required(role.other)
        if not other.running:
            # Its host holds the file of the data disk open, so that nothing deletes it, wherever it lies.
            raise ProviderError(f"{other.name} is off, so {machine.name} is not deleted", hint="start it")
        if role is Role.OLD:
            lock.take_new(self._session, self._facts, view, self._upgrade)
        hands.destroy(self._session, machine)

    def _look(self) -> View:
        return look(self._session, self._facts, self._upgrade)

    def _safety(self, view: View) -> str | None:
        """The snapshot, or what is left of one while the disks of the new machine are not whole."""
        if view.new is None:
            return None
        snapshot = view.new.snapshot(marks.snapshot_name(self._upgrade))
        if snapshot is not None:
            return str(snapshot._moId)
        return "disks to consolidate" if view.new.scattered else None

    def _active(self, view: View) -> Role | None:
        if view.new is not None and view.new.marks.get(marks.ACTIVE) == self._upgrade:
            return Role.NEW
        former = view.old is None or view.old.marks.get(marks.FORMER) == self._upgrade
        return None if former else Role.OLD

    def _mark(self, machine: Machine, name: str, options: dict[str, str]) -> None:
        """Give it a name and marks in one go, unless it has them."""
        changed = {key: value for key, value in options.items() if machine.marks.get(key, "") != value}
        if changed or machine.name != name:
            renamed = {"name": name} if machine.name != name else {}
            hands.mark(self._session, machine, options=changed, **renamed)

    def _without_data(self, machine: Machine) -> Machine:
        """Before it is deleted, with all that is attached to it."""
        if data_disk(machine, self._facts) is not None:
            raise ProviderError(f"{machine.name} has the data disk, so it is not deleted", hint="detach it first")
        return machine

    def _check_off(self, view: View, role: Role) -> None:
        machine = view.machine(role)
        if machine is not None and machine.running:
            raise ProviderError(f"{machine.name} runs", hint="did somebody start it?", transient=True)


def make(facts: dict[str, Any], upgrade_id: str, _poll_s: float) -> VmwareProvider:
    """Raises ConfigurationError when the environment has no credentials."""
    found = Facts.of(facts)
    return VmwareProvider(found, upgrade_id, Session(found.server, credentials()))


def _system(machine: Machine | None, *, staged: bool = True) -> System | None:
    return None if machine is None else System(machine.id, machine.name, machine.running, staged)
