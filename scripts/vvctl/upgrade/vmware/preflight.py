"""What stands in the way of an upgrade, found without changing anything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from pyVmomi import vim

from vvctl.image.report import size_text
from vvctl.publish.vmware.connection import Connection
from vvctl.upgrade.errors import ProviderError
from vvctl.upgrade.plan import Finding
from vvctl.upgrade.vmware import adapters, marks, privileges, staging
from vvctl.upgrade.vmware.facts import Facts
from vvctl.upgrade.vmware.image import Image
from vvctl.upgrade.vmware.session import Session
from vvctl.upgrade.vmware.staging import Place
from vvctl.upgrade.vmware.view import Machine, View, data_disk, root_file
from vvctl.upgrade.world import Role

# What the new version writes until the upgrade is final lies beside the data disk. A migration that rewrites the
# largest table, with its index, stays below a fifth of a disk that is sized as docs/sizing.md says.
_SNAPSHOT_SHARE = 0.2
# System and data.
_DISKS = 2
_MULTI_WRITER = "sharingMultiWriter"
_STATE = (
    "disabledMethod",
    "guest.toolsRunningStatus",
    "runtime.connectionState",
    "runtime.faultToleranceState",
    "runtime.host",
    "runtime.question",
)


def findings(session: Session, facts: Facts, view: View, upgrade: str) -> Iterator[Finding]:
    """Raises ProviderError when vCenter cannot be asked."""
    old = view.required(Role.OLD)
    state = session.read(old.object, *_STATE)
    yield from _leftovers(view, old, upgrade)
    yield from _machine(old, state)
    yield from _disks(old, facts)
    yield from _network(old, facts)
    yield from _host(session, state)
    where = staging.place(session, old)
    yield from _rights(session, where)
    image = staging.load(facts)
    yield from _space(session, where, facts, old, image)
    try:
        staging.import_spec(session, image, old, where, marks.staged_name(facts.name, upgrade))
    except ProviderError as error:
        if error.transient:
            raise
        yield Finding(error.message, error.hint)


def _leftovers(view: View, old: Machine, upgrade: str) -> Iterator[Finding]:
    for machine in view.others:
        made_by, former = machine.marks.get(marks.MADE_BY, ""), machine.marks.get(marks.FORMER, "")
        if former and old.marks.get(marks.ACTIVE) == former:
            yield Finding(
                f"upgrade {former} is not final: {machine.name} is kept for a way back",
                "`vvctl upgrade finalize` with the journal of that upgrade",
            )
        elif made_by != upgrade and machine.marks.get(marks.REPLACES) == old.instance:
            yield Finding(
                f"{machine.name} is left of upgrade {made_by}",
                "`vvctl upgrade rollback` with the journal of that upgrade, or delete it when it has no data disk",
            )


def _machine(old: Machine, state: dict[str, Any]) -> Iterator[Finding]:
    name = old.name
    if state.get("runtime.connectionState") != vim.VirtualMachine.ConnectionState.connected:
        yield Finding(f"{name} is {state.get('runtime.connectionState')}", "see that its host is connected")
    if not old.running:
        yield Finding(f"{name} is off", "start it: only the appliance itself can make the backup")
    elif state.get("guest.toolsRunningStatus") != "guestToolsRunning":
        yield Finding(
            f"VMware Tools do not run in {name}, so it cannot be told to shut down",
            "see `systemctl status open-vm-tools` in it",
        )
    if old.snapshots:
        names = ", ".join(entry.name for entry in old.snapshots)
        yield Finding(
            f"{name} has snapshots ({names}), with which a disk cannot be moved",
            "delete them in the vSphere client, which keeps what is on the disks",
        )
    elif old.scattered:
        yield Finding(f"the disks of {name} need consolidation", "Snapshots, Consolidate in the vSphere client")
    if state.get("runtime.faultToleranceState", "notConfigured") != "notConfigured":
        yield Finding(f"{name} is fault tolerant", "turn fault tolerance off for the time of the upgrade")
    if state.get("runtime.question") is not None:
        yield Finding(f"{name} waits for an answer: {state['runtime.question'].text}", "answer in the vSphere client")
    if "ReconfigVM_Task" in state.get("disabledMethod", []):
        yield Finding(
            f"vCenter lets nobody change {name} now: a migration, a backup or another product is at work on it",
            "wait for its end",
        )


def _disks(old: Machine, facts: Facts) -> Iterator[Finding]:
    if len(old.disks) != _DISKS:
        labels = ", ".join(disk.deviceInfo.label for disk in old.disks)
        yield Finding(
            f"{old.name} has {len(old.disks)} disks ({labels}), not system and data",
            "detach what does not belong to the appliance",
        )
    disk = data_disk(old, facts)
    if disk is None:
        yield Finding(f"{old.name} does not have the data disk any more", "begin anew once it is attached")
        return
    backing = disk.backing
    if not isinstance(backing, vim.vm.device.VirtualDisk.FlatVer2BackingInfo):
        yield Finding(
            f"the data disk is no VMDK of its own but {type(backing).__name__.rpartition('.')[2]}",
            "docs/upgrade-vmware.md tells how to upgrade by hand",
        )
        return
    if backing.diskMode != vim.vm.device.VirtualDiskOption.DiskMode.persistent:
        yield Finding(
            f"the data disk is {backing.diskMode}, so a snapshot does not hold it",
            "set its disk mode to dependent while the machine is off",
        )
    bus = next((device for device in old.devices if device.key == disk.controllerKey), None)
    shared_bus = getattr(bus, "sharedBus", None) not in {None, vim.vm.device.VirtualSCSIController.Sharing.noSharing}
    if shared_bus or getattr(backing, "sharing", None) == _MULTI_WRITER:
        yield Finding("the data disk may be shared by machines", "set sharing to none while the machine is off")
    if getattr(backing, "keyId", None) is not None:
        yield Finding("the data disk is encrypted by vSphere", "docs/upgrade-vmware.md tells how to upgrade by hand")
    if root_file(disk) != facts.disk_file:
        yield Finding(f"the data disk was moved to {root_file(disk)}", "begin anew")


def _network(old: Machine, facts: Facts) -> Iterator[Finding]:
    if len(old.adapters) != 1:
        yield Finding(f"{old.name} has {len(old.adapters)} network adapters", "remove those but the first")
    elif not adapters.has_identity(old, facts):
        yield Finding(
            f"the network adapter of {old.name} is not connected at power on, or its address is not {facts.address}",
            "connect it, and begin anew",
        )


def _host(session: Session, state: dict[str, Any]) -> Iterator[Finding]:
    host = state.get("runtime.host")
    if host is None:
        return
    found = session.read(host, "name", "runtime.connectionState", "runtime.inMaintenanceMode")
    if found["runtime.connectionState"] != vim.HostSystem.ConnectionState.connected:
        yield Finding(f"the host {found['name']} is {found['runtime.connectionState']}", "connect it")
    if found.get("runtime.inMaintenanceMode"):
        yield Finding(f"the host {found['name']} is in maintenance mode", "move the machine to another host")


def _rights(session: Session, where: Place) -> Iterator[Finding]:
    missing = []
    for entity, needed in (
        (where.pool, privileges.POOL),
        (where.folder, privileges.FOLDER),
        (where.datastore, privileges.DATASTORE),
        (where.network, privileges.NETWORK),
    ):
        answers = session.call("asking for privileges", partial(_asked, entity=entity, needed=needed))
        name = session.read(entity, "name")["name"]
        missing += [
            f"{entry.privId} on {name}" for found in answers for entry in found.privAvailability if not entry.isGranted
        ]
    if missing:
        yield Finding(f"the user lacks {', '.join(missing)}", "docs/upgrade-vmware.md lists all privileges")


def _asked(connection: Connection, entity: Any, needed: Sequence[str]) -> Any:
    key = connection.read(connection.content.sessionManager, "currentSession.key")["currentSession.key"]
    return connection.content.authorizationManager.HasPrivilegeOnEntities([entity], key, list(needed))


def _space(session: Session, where: Place, facts: Facts, old: Machine, image: Image) -> Iterator[Finding]:
    disk = data_disk(old, facts)
    snapshot = int(disk.capacityInKB * 1024 * _SNAPSHOT_SHARE) if disk is not None else 0
    needed = {where.datastore._moId: image.system_capacity}
    # Differences lie beside the disk that they belong to.
    needed[facts.datastore] = needed.get(facts.datastore, 0) + snapshot
    for moid, size in needed.items():
        datastore = session.object(vim.Datastore, moid)
        found = session.read(datastore, "name", "summary.accessible", "summary.maintenanceMode", "summary.freeSpace")
        if not found["summary.accessible"] or found.get("summary.maintenanceMode", "normal") != "normal":
            yield Finding(f"the datastore {found['name']} cannot be used now", "see to it in the vSphere client")
        elif found["summary.freeSpace"] < size:
            yield Finding(
                f"the datastore {found['name']} has {size_text(found['summary.freeSpace'])} free, "
                f"{size_text(size)} are needed for the new system disk and for what the new version writes",
                "make room there",
            )
