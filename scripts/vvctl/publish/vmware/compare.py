"""Read what stands in vCenter and compare it with the OVA."""

from __future__ import annotations

from typing import Any

from pyVmomi import vim

from vvctl.publish.vmware.archive import Archive
from vvctl.publish.vmware.connection import Connection
from vvctl.publish.vmware.description import Description
from vvctl.publish.vmware.library import Item, files
from vvctl.publish.vmware.rest import Rest

# Classes of vSphere for what the OVF calls by another name.
_ADAPTERS = {"VmxNet3": vim.vm.device.VirtualVmxnet3}


def template(connection: Connection, machine: Any, description: Description, option: str) -> list[str]:
    """How a template differs from the OVF, a line each; `option` is the deployment option that it was made with."""
    found = connection.read(
        machine,
        "config.template",
        "config.version",
        "config.guestId",
        "config.firmware",
        "config.hardware.numCPU",
        "config.hardware.memoryMB",
        "config.hardware.device",
        "config.vAppConfig.product",
        "config.vAppConfig.property",
        "config.vAppConfig.ovfEnvironmentTransport",
    )
    cores, memory = description.sizes[option]
    devices = found["config.hardware.device"]
    wanted = {
        "is a template": (True, found["config.template"]),
        "hardware version": (description.hardware, found["config.version"]),
        "guest": (description.guest, found["config.guestId"]),
        "firmware": (description.firmware, found["config.firmware"]),
        "cores": (cores, found["config.hardware.numCPU"]),
        "MB of memory": (memory, found["config.hardware.memoryMB"]),
        "disks on PVSCSI, in bytes": (description.capacities, _disks(devices)),
        "network adapters": (
            [_ADAPTERS[name].__name__ for name in description.adapters],
            [type(device).__name__ for device in devices if isinstance(device, vim.vm.device.VirtualEthernetCard)],
        ),
        "build": (
            [description.version],
            # The section that tells the data format has none.
            [entry.fullVersion for entry in found.get("config.vAppConfig.product", []) if entry.fullVersion],
        ),
        "ways of the settings": (
            description.transports,
            list(found.get("config.vAppConfig.ovfEnvironmentTransport", [])),
        ),
    }
    lines = [f"{what}: {there!r} instead of {ours!r}" for what, (ours, there) in wanted.items() if ours != there]
    return lines + _properties(description, found.get("config.vAppConfig.property", []))


def _disks(devices: list[Any]) -> list[int]:
    """Capacities of the disks on PVSCSI, in the order of their addresses."""
    paravirtual = {device.key for device in devices if isinstance(device, vim.vm.device.ParaVirtualSCSIController)}
    disks = [
        device
        for device in devices
        if isinstance(device, vim.vm.device.VirtualDisk) and device.controllerKey in paravirtual
    ]
    return [disk.capacityInKB * 1024 for disk in sorted(disks, key=lambda disk: disk.unitNumber or 0)]


def _properties(description: Description, found: list[Any]) -> list[str]:
    there = {
        entry.id: (entry.category, entry.label, entry.defaultValue or "", entry.userConfigurable) for entry in found
    }
    ours = {entry.key: (entry.category, entry.label, entry.default, True) for entry in description.properties}
    return [
        f"property {key}: {there.get(key, 'missing')!r} instead of {ours.get(key, 'nothing')!r}"
        for key in {**ours, **there}
        if there.get(key) != ours.get(key)
    ]


def library_item(rest: Rest, item: Item, archive: Archive) -> list[str]:
    """How an item's files differ from the OVA's members, a line each: presence, size and SHA-256."""
    found = {entry["name"]: entry for entry in files(rest, item)}
    lines = [f"{name}: not in the OVA" for name in found if name not in archive.members]
    for name, member in archive.members.items():
        if name not in found:
            lines.append(f"{name}: missing")
            continue
        size, checksum = found[name].get("size"), found[name].get("checksum_info") or {}
        if size != member.size:
            lines.append(f"{name}: {size} bytes instead of {member.size}")
        # vCenter keeps the checksum that a file was sent with; older ones show none.
        if checksum.get("algorithm") == "SHA256" and checksum["checksum"] != archive.digest(name):
            lines.append(f"{name}: another content")
    return lines
