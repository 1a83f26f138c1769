"""What an OVF says of the machine, as far as vCenter shows it again."""

from __future__ import annotations

from dataclasses import dataclass

from lxml import etree

from vvctl.errors import ConfigurationError
from vvctl.image.ovf import ETHERNET, MEMORY, OVF, PROCESSOR, RASD, VMW, VSSD

_NAMES = {"ovf": OVF, "rasd": RASD, "vmw": VMW, "vssd": VSSD}


@dataclass(frozen=True)
class Property:
    key: str
    category: str
    label: str
    default: str


@dataclass(frozen=True)
class Description:
    """Sizes in bytes; `sizes` has cores and MB of memory for each deployment option."""

    product: str
    version: str
    hardware: str
    guest: str
    firmware: str
    transports: list[str]
    networks: list[str]
    adapters: list[str]
    sizes: dict[str, tuple[int, int]]
    default_option: str
    capacities: list[int]
    populated: int
    properties: list[Property]

    @classmethod
    def read(cls, text: str) -> Description:
        """Read one of our own descriptors, which has been checked against its schema."""
        document = etree.fromstring(text.encode())

        def all_of(path: str) -> list[str]:
            found = document.xpath(path, namespaces=_NAMES)
            return [str(item) for item in found] if isinstance(found, list) else []

        def item(kind: int, option: str) -> int:
            chosen = f"//ovf:Item[@ovf:configuration='{option}'][rasd:ResourceType='{kind}']"
            return int(all_of(f"{chosen}/rasd:VirtualQuantity/text()")[0])

        options = all_of("//ovf:Configuration/@ovf:id")
        return cls(
            product="".join(all_of("//ovf:ProductSection/ovf:Product/text()")),
            version="".join(all_of("//ovf:ProductSection/ovf:FullVersion/text()")),
            hardware="".join(all_of("//vssd:VirtualSystemType/text()")),
            guest="".join(all_of("//ovf:OperatingSystemSection/@vmw:osType")),
            firmware="".join(all_of("//vmw:Config[@vmw:key='firmware']/@vmw:value")),
            transports=" ".join(all_of("//ovf:VirtualHardwareSection/@ovf:transport")).split(),
            networks=all_of("//ovf:Network/@ovf:name"),
            adapters=all_of(f"//ovf:Item[rasd:ResourceType='{ETHERNET}']/rasd:ResourceSubType/text()"),
            sizes={option: (item(PROCESSOR, option), item(MEMORY, option)) for option in options},
            default_option="".join(all_of("//ovf:Configuration[@ovf:default='true']/@ovf:id")),
            capacities=[int(size) for size in all_of("//ovf:Disk/@ovf:capacity")],
            populated=sum(int(size) for size in all_of("//ovf:Disk/@ovf:populatedSize")),
            properties=_properties(document),
        )

    def option(self, tier: int | None) -> str:
        """The deployment option of a tier; raises ConfigurationError when the OVF has none for it."""
        if tier is None:
            return self.default_option
        if f"tier{tier}" not in self.sizes:
            raise ConfigurationError(f"this OVA has no tier {tier}", hint=f"it has {', '.join(self.sizes)}")
        return f"tier{tier}"

    def size(self, *, thick: bool) -> int:
        """What the disks take on a datastore."""
        return sum(self.capacities) if thick else self.populated


def _properties(document: etree._Element) -> list[Property]:
    found, category = [], ""
    for element in document.iterfind(".//ovf:ProductSection/*", _NAMES):
        if element.tag == f"{{{OVF}}}Category":
            category = element.text or ""
        elif element.tag == f"{{{OVF}}}Property":
            label = element.findtext("ovf:Label", "", _NAMES)
            key, default = element.get(f"{{{OVF}}}key", ""), element.get(f"{{{OVF}}}value", "")
            found.append(Property(key, category, label, default))
    return found
