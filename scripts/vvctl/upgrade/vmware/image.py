"""The OVA of the new version, without its data disk: the machine gets the one that there is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lxml import etree

from vvctl.errors import IntegrityError
from vvctl.image.ovf import HARD_DISK, OVF, RASD
from vvctl.publish.vmware.archive import Archive
from vvctl.publish.vmware.description import Description

_NAMES = {"ovf": OVF, "rasd": RASD}
# In the order of their addresses: the system, the data.
_DISKS = 2


@dataclass(frozen=True)
class Image:
    """An OVA that is what its manifest says."""

    archive: Archive
    description: Description
    # Tells one build from another: SHA-256 of the manifest.
    digest: str

    @classmethod
    def load(cls, path: Path) -> Image:
        """Check `path` whole; raises ConfigurationError and IntegrityError."""
        archive = Archive.load(path)
        manifest = next(name for name in archive.members if name.endswith(".mf"))
        return cls(archive, Description.read(archive.descriptor), archive.digest(manifest))

    @property
    def system_capacity(self) -> int:
        """Of its disk, in bytes."""
        return self.description.capacities[0]

    def descriptor(self) -> str:
        """The OVF without the data disk and its file. Raises IntegrityError when it has not the two disks of ours."""
        document = etree.fromstring(self.archive.descriptor.encode(), etree.XMLParser(no_network=True))
        disks = document.findall(".//ovf:Disk", _NAMES)
        if len(disks) != _DISKS:
            raise IntegrityError(f"{self.archive.path} has {len(disks)} disks", hint="name an OVA of the appliance")
        disk, file = disks[1].get(f"{{{OVF}}}diskId", ""), disks[1].get(f"{{{OVF}}}fileRef", "")
        doomed = [
            disks[1],
            *document.iterfind(f".//ovf:File[@ovf:id='{file}']", _NAMES),
            *(
                item
                for item in document.iterfind(".//ovf:Item", _NAMES)
                if item.findtext("rasd:ResourceType", "", _NAMES) == str(HARD_DISK)
                and item.findtext("rasd:HostResource", "", _NAMES).endswith(f"/disk/{disk}")
            ),
        ]
        for element in doomed:
            parent = element.getparent()
            if parent is not None:
                parent.remove(element)
        return etree.tostring(document, encoding="unicode")
