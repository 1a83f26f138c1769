"""Taking the disks out of an OVA, as a hypervisor's import does."""

from __future__ import annotations

import hashlib
import re
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from lxml import etree

from vvctl.errors import IntegrityError
from vvctl.machine import disk

_OVF = "http://schemas.dmtf.org/ovf/envelope/1"
_RASD = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
_NAMES = {"ovf": _OVF, "rasd": _RASD}
# CIM_ResourceAllocationSettingData.ResourceType
_DISK_DRIVE = "17"
_MANIFEST_LINE = re.compile(r"SHA256\(([^)]+)\)\s*=\s*([0-9a-f]{64})")


@dataclass(frozen=True)
class PackagedDisks:
    """The two disks of the appliance as qcow2 files that nobody writes to."""

    system: Path
    data: Path


def unpack(ova: Path, directory: Path) -> PackagedDisks:
    """Check `ova` against its manifest and convert its disks to `directory`/system.qcow2 and data.qcow2.

    The order of the disks is that of their addresses on the controller (OVF 1.1, DSP0243, section 8).
    Raises IntegrityError when the archive is not what its manifest and its descriptor say.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory, prefix="ova-") as scratch:
        digests = _extract(ova, Path(scratch))
        descriptor = next((name for name in digests if name.endswith(".ovf")), None)
        manifest = next((name for name in digests if name.endswith(".mf")), None)
        if descriptor is None or manifest is None:
            raise IntegrityError(f"{ova} holds no descriptor or no manifest", hint="build it anew: make image")
        _check(ova, digests, (Path(scratch) / manifest).read_text(encoding="ascii"), manifest)
        disks = _disk_files(Path(scratch) / descriptor)
        if len(disks) != 2 or not set(disks) <= set(digests):
            raise IntegrityError(f"{ova} describes the disks {disks}, not a system and a data disk that it holds")
        system, data = (Path(scratch) / name for name in disks)
        return PackagedDisks(
            disk.copy(system, directory / "system.qcow2", source_format="vmdk"),
            disk.copy(data, directory / "data.qcow2", source_format="vmdk"),
        )


def _extract(ova: Path, directory: Path) -> dict[str, str]:
    """Write the members to `directory`; their names with the SHA-256 of each."""
    digests: dict[str, str] = {}
    try:
        with tarfile.open(ova, "r:") as archive:
            for member in archive:
                content = archive.extractfile(member)
                if content is None or PurePosixPath(member.name).name != member.name:
                    raise IntegrityError(f"{ova} holds {member.name}, which is not a plain file at its top")
                digests[member.name] = _write(content, directory / member.name)
    except (OSError, tarfile.TarError) as error:
        raise IntegrityError(f"{ova} cannot be read: {error}", hint="build it anew: make image") from error
    return digests


def _write(content: IO[bytes], path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("wb") as file:
        while block := content.read(1 << 20):
            digest.update(block)
            file.write(block)
    return digest.hexdigest()


def _check(ova: Path, digests: dict[str, str], manifest: str, manifest_name: str) -> None:
    declared = dict(_MANIFEST_LINE.findall(manifest))
    if unlisted := set(digests) - set(declared) - {manifest_name}:
        raise IntegrityError(f"{ova}: the manifest does not list {', '.join(sorted(unlisted))}")
    for name, digest in declared.items():
        if digests.get(name) != digest:
            raise IntegrityError(f"{ova}: {name} is not what the manifest declares", hint="build it anew: make image")


def _disk_files(descriptor: Path) -> list[str]:
    """File names of the disks, in the order of their addresses on the controller."""
    envelope = etree.parse(descriptor, etree.XMLParser(resolve_entities=False, no_network=True)).getroot()
    files = {
        item.get(f"{{{_OVF}}}id"): item.get(f"{{{_OVF}}}href") for item in envelope.iterfind(".//ovf:File", _NAMES)
    }
    disks = {
        item.get(f"{{{_OVF}}}diskId"): files.get(item.get(f"{{{_OVF}}}fileRef"))
        for item in envelope.iterfind(".//ovf:Disk", _NAMES)
    }
    found: list[tuple[int, str]] = []
    for item in envelope.iterfind(".//ovf:VirtualHardwareSection/ovf:Item", _NAMES):
        if item.findtext("rasd:ResourceType", namespaces=_NAMES) != _DISK_DRIVE:
            continue
        resource = item.findtext("rasd:HostResource", default="", namespaces=_NAMES)
        address = item.findtext("rasd:AddressOnParent", default="0", namespaces=_NAMES)
        found.append((int(address), str(disks.get(resource.rpartition("/")[2]))))
    return [name for _, name in sorted(found)]
