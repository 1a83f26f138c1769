"""The machines as vCenter shows them, read in one go: no look at half a change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pyVmomi import vim

from vvctl.upgrade.errors import ProviderError
from vvctl.upgrade.vmware import marks
from vvctl.upgrade.vmware.facts import Facts
from vvctl.upgrade.vmware.session import Properties, Session, all_in, one
from vvctl.upgrade.world import Role

_PATHS = (
    "name",
    "config.changeVersion",
    "config.extraConfig",
    "config.hardware.device",
    "config.instanceUuid",
    "runtime.powerState",
    "runtime.consolidationNeeded",
    "snapshot.rootSnapshotList",
)


@dataclass(frozen=True)
class Machine:
    """A virtual machine at one time."""

    object: Any
    name: str
    instance: str
    running: bool
    change_version: str
    marks: dict[str, str]
    devices: list[Any]
    # Of the disks: differences that belong to no snapshot any more.
    scattered: bool
    snapshots: list[Any]

    @classmethod
    def of(cls, target: Any, found: Properties) -> Machine | None:
        """None while it has no configuration: it is being made, or its host cannot be reached."""
        if "config.hardware.device" not in found:
            return None
        return cls(
            object=target,
            name=found["name"],
            instance=found["config.instanceUuid"],
            running=found["runtime.powerState"] != vim.VirtualMachine.PowerState.poweredOff,
            change_version=found["config.changeVersion"],
            marks={option.key: str(option.value) for option in found.get("config.extraConfig", [])},
            devices=list(found["config.hardware.device"]),
            scattered=bool(found.get("runtime.consolidationNeeded")),
            snapshots=list(_flat(found.get("snapshot.rootSnapshotList", []))),
        )

    @property
    def id(self) -> str:
        return str(self.object._moId)

    @property
    def disks(self) -> list[Any]:
        return [device for device in self.devices if isinstance(device, vim.vm.device.VirtualDisk)]

    @property
    def adapters(self) -> list[Any]:
        return [device for device in self.devices if isinstance(device, vim.vm.device.VirtualEthernetCard)]

    def snapshot(self, name: str) -> Any:
        """The snapshot of that name, or None."""
        return next((entry.snapshot for entry in self.snapshots if entry.name == name), None)


@dataclass(frozen=True)
class View:
    """One look. `others`: every other machine in the folder, or with a file on the datastore of the data disk."""

    old: Machine | None
    new: Machine | None
    others: list[Machine]
    # Whether the file of the data disk is there.
    file_exists: bool

    def machine(self, role: Role) -> Machine | None:
        return self.old if role is Role.OLD else self.new

    def required(self, role: Role) -> Machine:
        """Raises ProviderError when it is gone."""
        machine = self.machine(role)
        if machine is None:
            raise ProviderError(f"the {role} machine is gone", hint="did somebody delete or unregister it?")
        return machine


def look(session: Session, facts: Facts, upgrade: str) -> View:
    """Read everything anew; raises ProviderError."""
    folder = session.object(vim.Folder, facts.folder)
    datastore = session.object(vim.Datastore, facts.datastore)
    old = session.object(vim.VirtualMachine, facts.vm)
    selected = [one(old), all_in(folder, "childEntity"), all_in(datastore, "vm")]
    found: dict[str, Machine] = {}
    for target, properties in session.collect(selected, vim.VirtualMachine, _PATHS):
        machine = Machine.of(target, properties)
        if machine is not None:
            found[machine.id] = machine
        elif target._moId == facts.vm:
            raise ProviderError(f"vCenter shows nothing of {facts.name}", hint="is its host connected?", transient=True)
    current = found.pop(facts.vm, None)
    new = next((machine for machine in found.values() if upgrade and machine.marks.get(marks.MADE_BY) == upgrade), None)
    others = [machine for machine in found.values() if machine is not new]
    attached = any(machine is not None and data_disk(machine, facts) for machine in (current, new))
    return View(current, new, others, bool(attached) or _file_exists(session, facts))


def data_disk(machine: Machine, facts: Facts) -> Any:
    """The data disk as that machine has it, or None."""
    return next((disk for disk in machine.disks if uses_file(disk, facts) or _has_identity(disk, facts)), None)


def uses_file(disk: Any, facts: Facts) -> bool:
    """Whether it is the data disk by its file; a copy may well have the same UUID."""
    return root_file(disk) == facts.disk_file


def root_file(disk: Any) -> str:
    """The file of the whole disk, below the differences that snapshots make; "" for what is no file."""
    backing = disk.backing
    while getattr(backing, "parent", None) is not None:
        backing = backing.parent
    return str(getattr(backing, "fileName", ""))


def bare(uuid: str) -> str:
    """A UUID without what is only for reading: vCenter writes those of disks in two ways."""
    return "".join(uuid.lower().replace("-", " ").split())


def _has_identity(disk: Any, facts: Facts) -> bool:
    uuid = getattr(disk.backing, "uuid", None)
    return uuid is not None and bare(uuid) == bare(facts.disk_uuid)


def _file_exists(session: Session, facts: Facts) -> bool:
    datacenter = session.object(vim.Datacenter, facts.datacenter)

    def asked(connection: Any) -> bool:
        try:
            uuid = connection.content.virtualDiskManager.QueryVirtualDiskUuid(facts.disk_file, datacenter)
        except vim.fault.FileNotFound:
            return False
        return bare(uuid) == bare(facts.disk_uuid)

    return session.call("looking for the data disk", asked)


def _flat(tree: list[Any]) -> Iterator[Any]:
    for entry in tree:
        yield entry
        yield from _flat(entry.childSnapshotList or [])
