"""The data disk: moved from machine to machine as it is, and the point in time to which it can be put back.

No function here gives vCenter an operation on a file: a disk is attached and detached, never made or deleted.
"""

from __future__ import annotations

from typing import Any

from pyVmomi import vim

from vvctl.upgrade.errors import ProviderError
from vvctl.upgrade.vmware import hands, marks
from vvctl.upgrade.vmware.facts import Facts
from vvctl.upgrade.vmware.session import Session
from vvctl.upgrade.vmware.view import Machine, data_disk, root_file

_Operation = vim.vm.device.VirtualDeviceSpec.Operation


def detach(session: Session, machine: Machine, facts: Facts) -> None:
    """Take it from a machine; its file stays. Raises ProviderError when it could not be found again."""
    disk = data_disk(machine, facts)
    if disk is None:
        return
    check_whole(machine, disk)
    if root_file(disk) != facts.disk_file:
        raise ProviderError(
            f"the data disk was moved from {facts.disk_file} to {root_file(disk)}",
            hint="roll back, and begin another upgrade",
        )
    spec = vim.vm.ConfigSpec(deviceChange=[vim.vm.device.VirtualDeviceSpec(operation=_Operation.remove, device=disk)])
    hands.configure(session, f"detaching the data disk from {machine.name}", machine, spec)


def attach(session: Session, machine: Machine, facts: Facts) -> None:
    """Give it to a machine, at the place where it was."""
    if data_disk(machine, facts) is not None:
        return
    device = vim.vm.device.VirtualDisk(
        controllerKey=controller(machine).key,
        unitNumber=facts.unit,
        key=-1,
        backing=vim.vm.device.VirtualDisk.FlatVer2BackingInfo(
            fileName=facts.disk_file, diskMode=vim.vm.device.VirtualDiskOption.DiskMode.persistent
        ),
    )
    spec = vim.vm.ConfigSpec(deviceChange=[vim.vm.device.VirtualDeviceSpec(operation=_Operation.add, device=device)])
    hands.configure(session, f"attaching the data disk to {machine.name}", machine, spec)


def controller(machine: Machine) -> Any:
    """The one on which disks are."""
    kind = vim.vm.device.ParaVirtualSCSIController
    found = next((device for device in machine.devices if isinstance(device, kind)), None)
    if found is None:
        raise ProviderError(f"{machine.name} has no PVSCSI controller", hint="give it the one that the OVA has")
    return found


def check_whole(machine: Machine, disk: Any) -> None:
    """Raises ProviderError when a part of what is on the disk is in a file that would stay behind."""
    if machine.snapshots or machine.scattered or getattr(disk.backing, "parent", None) is not None:
        raise ProviderError(
            f"{machine.name} has snapshots, so that the data disk cannot be moved",
            hint="remove them in the vSphere client (delete, not revert), consolidate, then resume",
        )


def take_snapshot(session: Session, machine: Machine, upgrade: str) -> None:
    """Of a machine that is off, so that going back to it leaves it off."""
    name = marks.snapshot_name(upgrade)
    if machine.snapshot(name) is None:
        session.task(
            f"making a snapshot of {machine.name}",
            lambda _: machine.object.CreateSnapshot_Task(name, "Before the first start", memory=False, quiesce=False),
        )


def revert(session: Session, machine: Machine, upgrade: str) -> None:
    """Put the data disk back. Raises ProviderError when the snapshot is gone.

    Going back takes the marks along that were made since, so the one that tells of it comes after it.
    """
    snapshot = machine.snapshot(marks.snapshot_name(upgrade))
    if snapshot is None:
        raise ProviderError(
            f"the snapshot of {machine.name} is gone, so the data disk cannot be put back",
            hint="restore the backup beside the journal; docs/upgrade-vmware.md has the steps",
        )
    session.task(f"putting {machine.name} back to its snapshot", lambda _: snapshot.RevertToSnapshot_Task())


def remove_snapshot(session: Session, machine: Machine, upgrade: str) -> None:
    """Keep the disks as they are now, in one file each."""
    snapshot = machine.snapshot(marks.snapshot_name(upgrade))
    if snapshot is not None:
        session.task(
            f"removing the snapshot of {machine.name}",
            lambda _: snapshot.RemoveSnapshot_Task(removeChildren=False, consolidate=True),
        )
    elif machine.scattered:
        session.task(f"consolidating {machine.name}", lambda _: machine.object.ConsolidateVMDisks_Task())
