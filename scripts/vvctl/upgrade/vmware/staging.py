"""The new machine: imported from the OVA, with the size, settings and network of the old one, off and unreachable."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyVmomi import vim, vmodl

from vvctl.publish.vmware.connection import Connection
from vvctl.publish.vmware.errors import UNREACHABLE, VsphereError, reason
from vvctl.publish.vmware.lease import Lease, Transfer
from vvctl.upgrade.errors import ProviderError
from vvctl.upgrade.vmware import adapters, hands, marks
from vvctl.upgrade.vmware.facts import Facts
from vvctl.upgrade.vmware.image import Image
from vvctl.upgrade.vmware.session import Session
from vvctl.upgrade.vmware.view import Machine

# An import that was cut off keeps its machine locked until vCenter ends it, after 5 minutes without progress.
_IMPORT_ENDS_WITHIN_S = 360.0
_PAUSE_S = 1.0


@dataclass(frozen=True)
class Place:
    """Where the old machine is, which is where the new one goes."""

    folder: Any
    pool: Any
    # A cluster without DRS cannot choose one.
    host: Any
    datastore: Any
    network: Any


def place(session: Session, old: Machine) -> Place:
    """Read anew: machines wander. Raises ProviderError."""
    found = session.read(old.object, "parent", "resourcePool", "runtime.host", "network")
    missing = {"parent", "resourcePool", "runtime.host", "network"} - found.keys()
    if missing or not found["network"]:
        raise ProviderError(
            f"vCenter does not show where {old.name} is: {', '.join(missing) or 'it has no network'}", transient=True
        )
    return Place(
        folder=found["parent"],
        pool=found["resourcePool"],
        host=found["runtime.host"],
        datastore=old.disks[0].backing.datastore,
        network=found["network"][0],
    )


def import_spec(session: Session, image: Image, old: Machine, where: Place, name: str) -> Any:
    """What vCenter makes of the OVA; raises ProviderError with its reasons when it cannot take it."""
    settings = session.read(old.object, "config.vAppConfig.property").get("config.vAppConfig.property", [])
    known = {entry.key for entry in image.description.properties}
    thin = bool(getattr(old.disks[0].backing, "thinProvisioned", True))
    params = vim.OvfManager.CreateImportSpecParams(
        entityName=name,
        locale="",
        deploymentOption="",
        networkMapping=[
            vim.OvfManager.NetworkMapping(name=name, network=where.network) for name in image.description.networks
        ],
        propertyMapping=[
            vim.KeyValue(key=entry.id, value=entry.value) for entry in settings if entry.value and entry.id in known
        ],
        diskProvisioning="thin" if thin else "thick",
        hostSystem=where.host,
    )
    result = session.call(
        "having the OVA checked",
        lambda connection: connection.content.ovfManager.CreateImportSpec(
            image.descriptor(), where.pool, where.datastore, params
        ),
    )
    if result.error or result.importSpec is None:
        reasons = "; ".join(reason(error) for error in result.error or [])
        raise ProviderError(
            f"vCenter cannot import this OVA beside {old.name}: {reasons or 'it does not say why'}",
            hint="is the hardware version of the OVA one that the host knows?",
        )
    return result


def stage(session: Session, facts: Facts, image: Image, old: Machine, upgrade: str) -> None:
    """Import it, and mark it as complete at the end; raises ProviderError, and what is left then is no complete one."""
    where = place(session, old)
    result = import_spec(session, image, old, where, marks.staged_name(facts.name, upgrade))
    size = session.read(
        old.object, "config.hardware.numCPU", "config.hardware.numCoresPerSocket", "config.hardware.memoryMB"
    )
    config = result.importSpec.configSpec
    config.numCPUs, config.memoryMB = size["config.hardware.numCPU"], size["config.hardware.memoryMB"]
    config.numCoresPerSocket = size.get("config.hardware.numCoresPerSocket")
    made = {marks.MADE_BY: upgrade, marks.REPLACES: old.instance}
    config.extraConfig = [*(config.extraConfig or []), *(marks.option(key, value) for key, value in made.items())]
    for change in config.deviceChange:
        if isinstance(change.device, vim.vm.device.VirtualEthernetCard):
            # As the old one is connected, which a name does not tell when networks are distributed.
            change.device.backing = _network_of(old)
            adapters.unplug(change.device)
    machine = session.call("importing the new machine", lambda connection: _import(connection, image, result, where))
    staged = vim.vm.ConfigSpec(extraConfig=[marks.option(marks.STAGED, upgrade)])
    session.task("marking the new machine as complete", lambda _: machine.ReconfigVM_Task(staged))


def discard(session: Session, machine: Machine) -> None:
    """Delete a machine, one of an import that was cut off as well: vCenter keeps that locked, and may end it itself."""
    deadline = time.monotonic() + _IMPORT_ENDS_WITHIN_S
    while True:
        try:
            hands.destroy(session, machine)
        except ProviderError as error:
            cause = error.__cause__.__cause__ if error.__cause__ else None
            if isinstance(cause, vmodl.fault.ManagedObjectNotFound):
                return
            locked = isinstance(cause, vim.fault.MethodDisabled | vim.fault.TaskInProgress)
            if not locked or time.monotonic() > deadline:
                raise
        else:
            return
        time.sleep(_PAUSE_S)


def _import(connection: Connection, image: Image, result: Any, where: Place) -> Any:
    items = result.fileItem
    total = sum(image.archive.members[item.path].size for item in items)
    lease = Lease(connection, where.pool.ImportVApp(result.importSpec, where.folder, where.host))
    try:
        lease.wait_until_ready()
        lease.upload(image.archive, items, Transfer(total, lambda _: None))
        lease.complete()
    except (VsphereError, vmodl.MethodFault, *UNREACHABLE) as error:
        # Or vCenter ends it by itself, minutes later.
        with suppress(vmodl.MethodFault, *UNREACHABLE):
            lease.abort()
        if isinstance(error, vim.fault.NotAuthenticated):
            # An import does not go on in another session.
            raise ProviderError("the session ended while the new machine was imported", transient=True) from error
        raise
    return lease.machine


def _network_of(old: Machine) -> Any:
    backing = old.adapters[0].backing
    if isinstance(backing, vim.vm.device.VirtualEthernetCard.DistributedVirtualPortBackingInfo):
        # The port itself is the old machine's own.
        port = vim.dvs.PortConnection(switchUuid=backing.port.switchUuid, portgroupKey=backing.port.portgroupKey)
        return vim.vm.device.VirtualEthernetCard.DistributedVirtualPortBackingInfo(port=port)
    return backing


def load(facts: Facts) -> Image:
    """The OVA that the upgrade began with. Raises ConfigurationError, IntegrityError, and ProviderError for another."""
    image = Image.load(Path(facts.ova))
    if image.digest != facts.ova_digest:
        raise ProviderError(f"{facts.ova} is another one than at the beginning", hint="put that one back, then resume")
    return image
