"""Find the machine, its data disk and its addresses; look into the OVA."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pyVmomi import vim

from vvctl.publish.vmware import place
from vvctl.publish.vmware.connection import Connection, Server
from vvctl.publish.vmware.errors import NotThere
from vvctl.publish.vmware.place import Where
from vvctl.upgrade import ova as ovas
from vvctl.upgrade.vmware.facts import Facts, credentials
from vvctl.upgrade.vmware.image import Image
from vvctl.upgrade.vmware.session import Session, all_in, collected
from vvctl.upgrade.vmware.view import root_file

_PATHS = ("config.template", "config.hardware.device", "parent")


def discover(server: Server, machine: str, where: Where, ova: Path) -> dict[str, Any]:
    """Raises ProviderError with what to name, ConfigurationError and IntegrityError."""
    release, image = ovas.release(ova), Image.load(ova)
    image.descriptor()
    who = credentials()
    found = Session(server, who).call(f"looking for {machine}", lambda connection: _found(connection, machine, where))
    return Facts(
        host=server.host,
        port=server.port,
        ca_file=str(server.ca_file.resolve()) if server.ca_file else "",
        thumbprint=server.thumbprint,
        name=machine,
        ova=str(ova.resolve()),
        ova_digest=image.digest,
        version=release.version,
        format_epoch=release.format_epoch,
        by=f"{who.user} on {os.uname().nodename}",
        **found,
    ).as_json()


def _found(connection: Connection, machine: str, where: Where) -> dict[str, Any]:
    """What vCenter knows of it. Raises NotThere."""
    target = _machine(connection, machine, where)
    properties = connection.read(target, *_PATHS)
    if properties.get("config.template"):
        raise NotThere(f"{machine} is a template", hint="--machine names the machine that was made of it")
    if "parent" not in properties:
        raise NotThere(f"{machine} is part of a vApp", hint="take it out for the time of the upgrade")
    devices = properties.get("config.hardware.device", [])
    disk, adapter = _data_disk(machine, devices), _adapter(machine, devices)
    return {
        "datacenter": _above(connection, target, vim.Datacenter)._moId,
        "folder": properties["parent"]._moId,
        "vm": target._moId,
        "disk_uuid": disk.backing.uuid,
        "disk_file": root_file(disk),
        "disk_label": disk.deviceInfo.label,
        "datastore": disk.backing.datastore._moId,
        "unit": disk.unitNumber,
        "address": adapter.macAddress,
        "address_type": adapter.addressType,
    }


def _machine(connection: Connection, name: str, where: Where) -> Any:
    datacenter, parent, path = place.folder(connection, where)
    if where.folder:
        found = place.machine(connection, path, name)
        if not isinstance(found, vim.VirtualMachine):
            raise NotThere(f"there is no machine {name} in {path}")
        return found
    view = connection.content.viewManager.CreateContainerView(parent, [vim.VirtualMachine], True)
    try:
        machines = collected(connection, [all_in(view, "view")], vim.VirtualMachine, ["name", "parent"])
    finally:
        view.DestroyView()
    # One of a vApp has none.
    named = {each: found.get("parent", each) for each, found in machines if found.get("name") == name}
    if not named:
        raise NotThere(f"there is no machine {name} in {datacenter}", hint="--machine takes the name in vCenter")
    if len(named) > 1:
        folders = ", ".join(sorted(connection.read(parent, "name")["name"] for parent in named.values()))
        raise NotThere(f"there are {len(named)} machines called {name}, in {folders}", hint="--folder names one")
    return next(iter(named))


def _data_disk(name: str, devices: list[Any]) -> Any:
    """The disk after the system's, on the controller of both."""
    buses = {device.key for device in devices if isinstance(device, vim.vm.device.ParaVirtualSCSIController)}
    disks: list[Any] = [device for device in devices if isinstance(device, vim.vm.device.VirtualDisk)]
    disks = sorted(
        (disk for disk in disks if disk.controllerKey in buses), key=lambda disk: (disk.controllerKey, disk.unitNumber)
    )
    labels = ", ".join(disk.deviceInfo.label for disk in disks) or "none"
    if len(disks) < 2:
        raise NotThere(f"{name} has no data disk: its disks on PVSCSI are {labels}", hint="is it an appliance?")
    if len(disks) > 2:
        raise NotThere(
            f"{name} has {len(disks)} disks on PVSCSI ({labels}), so it is not clear which holds the data",
            hint="detach what does not belong to the appliance",
        )
    disk = disks[1]
    if not getattr(disk.backing, "uuid", None) or not root_file(disk):
        raise NotThere(
            f"the data disk of {name} is no VMDK with a UUID", hint="upgrade by hand: docs/upgrade-vmware.md"
        )
    return disk


def _adapter(name: str, devices: list[Any]) -> Any:
    found = next((device for device in devices if isinstance(device, vim.vm.device.VirtualEthernetCard)), None)
    if found is None:
        raise NotThere(f"{name} has no network adapter")
    return found


def _above(connection: Connection, target: Any, kind: type) -> Any:
    while not isinstance(target, kind):
        target = connection.read(target, "parent")["parent"]
    return target
