"""The OVF 1.1 descriptor (DMTF DSP0243), made from appliance.yml."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lxml import etree

from vvctl.appliance import Appliance, Tier
from vvctl.errors import IntegrityError

OVF = "http://schemas.dmtf.org/ovf/envelope/1"
CIM = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2"
RASD = f"{CIM}/CIM_ResourceAllocationSettingData"
VSSD = f"{CIM}/CIM_VirtualSystemSettingData"
VMW = "http://www.vmware.com/schema/ovf"
STREAM_OPTIMIZED = "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"
# CIM_OperatingSystem.OsType: Debian 64-Bit.
OS_TYPE_DEBIAN_64 = "96"
# CIM_ResourceAllocationSettingData.ResourceType.
PROCESSOR, MEMORY, SCSI_CONTROLLER, ETHERNET, HARD_DISK = 3, 4, 6, 10, 17
# The class of the section whose version is the epoch of the data disk's format.
FORMAT_CLASS = "data-format"
SCHEMA = Path(__file__).parent / "schemas" / "all.xsd"
# lxml spells the default namespace None, its stubs do not know that.
_NSMAP: dict[Any, str] = {None: OVF, "ovf": OVF, "rasd": RASD, "vssd": VSSD, "vmw": VMW}


@dataclass(frozen=True)
class Disk:
    """One disk of the machine, sizes in bytes."""

    file_name: str
    file_size: int
    capacity: int
    # What holds data.
    populated: int


def _ovf(name: str) -> str:
    return f"{{{OVF}}}{name}"


def _add(parent: etree._Element, tag: str, text: str | None = None, /, **attributes: str) -> etree._Element:
    element = etree.SubElement(parent, _ovf(tag), {_ovf(key): value for key, value in attributes.items()})
    element.text = text
    return element


def _item(parent: etree._Element, fields: dict[str, str | int], **attributes: str) -> None:
    """A hardware item; the schema wants its fields in the order of the alphabet."""
    item = _add(parent, "Item", **attributes)
    for name in sorted(fields):
        etree.SubElement(item, f"{{{RASD}}}{name}").text = str(fields[name])


def configuration(tier: Tier) -> str:
    """The id under which an administrator picks `tier` at import."""
    return f"tier{tier.id}"


def descriptor(appliance: Appliance, disks: Sequence[Disk], *, full_version: str, eula: str) -> bytes:
    """The OVF of a machine with `disks` in SCSI order: tiers as deployment options, properties for the first boot.

    `eula` is the text that whoever imports it agrees to.
    """
    product = appliance.product
    envelope = etree.Element(_ovf("Envelope"), nsmap=_NSMAP)
    envelope.set("{http://www.w3.org/XML/1998/namespace}lang", "en-US")
    references = _add(envelope, "References")
    for number, disk in enumerate(disks, 1):
        _add(references, "File", href=disk.file_name, id=f"file{number}", size=str(disk.file_size))
    _disk_section(envelope, disks)
    networks = _add(envelope, "NetworkSection")
    _add(networks, "Info", "The networks that the machine needs")
    network = _add(networks, "Network", name=appliance.ovf.network)
    _add(network, "Description", f"The network on which {product.title} answers")
    _tier_section(envelope, appliance)
    machine = _add(envelope, "VirtualSystem", id=product.name)
    _add(machine, "Info", f"{product.title} appliance")
    _add(machine, "Name", product.name)
    system = _add(machine, "OperatingSystemSection", id=OS_TYPE_DEBIAN_64)
    system.set(f"{{{VMW}}}osType", appliance.ovf.guest_os)
    _add(system, "Info", "The guest operating system")
    _add(system, "Description", "Debian GNU/Linux (64-bit)")
    _hardware_section(machine, appliance, len(disks))
    _product_section(machine, appliance, full_version)
    _format_section(machine, appliance)
    _annotation_section(machine, appliance)
    agreement = _add(machine, "EulaSection")
    _add(agreement, "Info", "Licence agreement")
    _add(agreement, "License", eula)
    return etree.tostring(envelope, xml_declaration=True, encoding="UTF-8", pretty_print=True)


def _disk_section(envelope: etree._Element, disks: Sequence[Disk]) -> None:
    section = _add(envelope, "DiskSection")
    _add(section, "Info", "The virtual disks: the system, and the data that outlives it")
    for number, disk in enumerate(disks, 1):
        _add(
            section, "Disk", diskId=f"disk{number}", fileRef=f"file{number}", format=STREAM_OPTIMIZED,
            capacity=str(disk.capacity), capacityAllocationUnits="byte", populatedSize=str(disk.populated),
        )  # fmt: skip


def _tier_section(envelope: etree._Element, appliance: Appliance) -> None:
    section = _add(envelope, "DeploymentOptionSection")
    _add(section, "Info", "Sizes of the machine")
    for tier in appliance.tiers:
        default = {"default": "true"} if tier is appliance.tiers[0] else {}
        option = _add(section, "Configuration", id=configuration(tier), **default)
        _add(option, "Label", f"{tier.label}: up to {tier.calls} calls")
        _add(option, "Description", f"Tier {tier.id}: {tier.cores} cores, {tier.memory_gb} GB, {tier.calls} calls")


def _hardware_section(machine: etree._Element, appliance: Appliance, disks: int) -> None:
    # Not "iso" beside it: vSphere would then want a CD drive, which a server has no other use for.
    section = _add(machine, "VirtualHardwareSection", transport="com.vmware.guestInfo")
    _add(section, "Info", "The virtual hardware")
    system = _add(section, "System")
    for name, value in (
        ("ElementName", "Virtual Hardware Family"),
        ("InstanceID", "0"),
        ("VirtualSystemIdentifier", appliance.product.name),
        ("VirtualSystemType", f"vmx-{appliance.ovf.hardware_version}"),
    ):
        etree.SubElement(system, f"{{{VSSD}}}{name}").text = value
    # What carries no configuration is the size that applies when nothing is chosen.
    _size(section, appliance.tiers[0])
    for tier in appliance.tiers:
        _size(section, tier, configuration=configuration(tier))
    _item(
        section,
        {
            "Address": 0, "Description": "SCSI controller", "ElementName": "SCSI Controller 0", "InstanceID": 3,
            "ResourceSubType": "VirtualSCSI", "ResourceType": SCSI_CONTROLLER,
        },
    )  # fmt: skip
    for number in range(disks):
        _item(
            section,
            {
                "AddressOnParent": number, "ElementName": f"Hard Disk {number + 1}",
                "HostResource": f"ovf:/disk/disk{number + 1}", "InstanceID": 4 + number, "Parent": 3,
                "ResourceType": HARD_DISK,
            },
        )  # fmt: skip
    _item(
        section,
        {
            "AddressOnParent": 7, "AutomaticAllocation": "true", "Connection": appliance.ovf.network,
            "Description": "Network adapter", "ElementName": "Ethernet 1", "InstanceID": 4 + disks,
            "ResourceSubType": "VmxNet3", "ResourceType": ETHERNET,
        },
    )  # fmt: skip
    for key, value in (("firmware", appliance.ovf.firmware), ("tools.syncTimeWithHost", "false")):
        attributes = {_ovf("required"): "false", f"{{{VMW}}}key": key, f"{{{VMW}}}value": value}
        etree.SubElement(section, f"{{{VMW}}}Config", attributes)


def _size(section: etree._Element, tier: Tier, **attributes: str) -> None:
    _item(
        section,
        {
            "AllocationUnits": "hertz * 10^6", "Description": "Number of virtual CPUs",
            "ElementName": f"{tier.cores} virtual CPUs", "InstanceID": 1, "ResourceType": PROCESSOR,
            "VirtualQuantity": tier.cores,
        },
        **attributes,
    )  # fmt: skip
    _item(
        section,
        {
            "AllocationUnits": "byte * 2^20", "Description": "Memory", "ElementName": f"{tier.memory_gb} GB of memory",
            "InstanceID": 2, "ResourceType": MEMORY, "VirtualQuantity": tier.memory_gb * 1024,
        },
        **attributes,
    )  # fmt: skip


def _product_section(machine: etree._Element, appliance: Appliance, full_version: str) -> None:
    product = appliance.product
    # Without a class the guest sees every key as it stands in appliance.yml.
    section = _add(machine, "ProductSection", required="false")
    _add(section, "Info", "Settings of the first boot; everybody who may see the machine can read them")
    _add(section, "Product", product.title)
    _add(section, "Vendor", product.vendor)
    _add(section, "Version", product.version)
    _add(section, "FullVersion", full_version)
    category = ""
    for entry in appliance.ovf.properties:
        if entry.category != category:
            category = entry.category
            _add(section, "Category", category)
        # The guest checks the values: OVF has no type for an address, and vSphere ignores most qualifiers.
        item = _add(section, "Property", key=entry.key, type="string", userConfigurable="true", value=entry.default)
        _add(item, "Label", entry.label)
        _add(item, "Description", entry.description)


def _format_section(machine: etree._Element, appliance: Appliance) -> None:
    """What an upgrade has to know before it starts the image; without properties it does not reach the guest."""
    section = _add(machine, "ProductSection", **{"class": FORMAT_CLASS, "required": "false"})
    _add(section, "Info", "What this version writes to the data disk")
    _add(section, "Version", str(appliance.disks.data.format_epoch))


def _annotation_section(machine: etree._Element, appliance: Appliance) -> None:
    """What vSphere shows before the import, and keeps as the machine's notes."""
    data = appliance.disks.data
    section = _add(machine, "AnnotationSection")
    _add(section, "Info", "What the administrator does after the import")
    _add(
        section,
        "Annotation",
        f"Hard disk 2 holds the data and is delivered with {data.size_gb} GB. Enlarge it to what your calls and "
        f"retention need: {appliance.retention.log_gb_per_stream} GB for each call that is in progress round the "
        f"clock, with {appliance.retention.logs_days} days of logs; `vvctl size` computes it. The file system grows at "
        "the next boot. Hard disk 1 holds the system and keeps its size: upgrades replace it. The console shows how "
        "to go on.",
    )


def validate(document: bytes) -> None:
    """Check an OVF against DMTF's schema and VMware's extensions; raises IntegrityError that lists what is wrong."""
    # The schemas are files of this project and import only each other.
    schema = etree.XMLSchema(etree.parse(SCHEMA, etree.XMLParser(no_network=True)))
    if not schema.validate(etree.fromstring(document, etree.XMLParser(no_network=True, resolve_entities=False))):
        problems = "\n".join(f"  {line}" for line in str(schema.error_log).splitlines())
        raise IntegrityError(f"the OVF does not follow its schema:\n{problems}")
