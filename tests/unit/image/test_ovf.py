from __future__ import annotations

import pytest
from lxml import etree

from vvctl.appliance import Appliance
from vvctl.errors import IntegrityError
from vvctl.image.ovf import OVF, RASD, VMW, VSSD, Disk, configuration, descriptor, validate

DISKS = [Disk("system.vmdk", 100, 10 << 30, 1 << 30), Disk("data.vmdk", 50, 40 << 30, 1 << 20)]
EULA = "Agree,\n<or> don't."
NAMES = {"ovf": OVF, "rasd": RASD, "vmw": VMW, "vssd": VSSD}


@pytest.fixture(scope="module")
def document(appliance: Appliance) -> bytes:
    return descriptor(appliance, DISKS, full_version="1.2.3+abc", eula=EULA)


@pytest.fixture(scope="module")
def envelope(document: bytes) -> etree._Element:
    return etree.fromstring(document)


def texts(envelope: etree._Element, path: str) -> list[str]:
    found = envelope.xpath(path, namespaces=NAMES)
    assert isinstance(found, list)
    return [str(item) for item in found]


def test_follows_the_schema(document: bytes) -> None:
    validate(document)


def test_schema_refuses_an_item_out_of_order(document: bytes) -> None:
    with pytest.raises(IntegrityError, match="does not follow its schema"):
        validate(document.replace(b"rasd:ResourceType", b"rasd:AResourceType"))


def test_offers_the_tiers_with_their_cores_and_memory(appliance: Appliance, envelope: etree._Element) -> None:
    offered = {}
    for name in texts(envelope, "//ovf:Configuration/@ovf:id"):
        item = f"//ovf:Item[@ovf:configuration='{name}'][rasd:ResourceType='{{}}']/rasd:VirtualQuantity/text()"
        offered[name] = (texts(envelope, item.format(3)), texts(envelope, item.format(4)))
    assert offered == {
        configuration(tier): ([str(tier.cores)], [str(tier.memory_gb * 1024)]) for tier in appliance.tiers
    }


def test_smallest_tier_applies_when_nothing_is_chosen(appliance: Appliance, envelope: etree._Element) -> None:
    chosen = texts(envelope, "//ovf:Configuration[@ovf:default='true']/@ovf:id")
    assert chosen == [configuration(appliance.tiers[0])]
    cores = "//ovf:Item[not(@ovf:configuration)][rasd:ResourceType='3']/rasd:VirtualQuantity/text()"
    assert texts(envelope, cores) == [str(appliance.tiers[0].cores)]


def test_asks_for_the_properties_under_their_plain_keys(appliance: Appliance, envelope: etree._Element) -> None:
    asked = [
        (item.get(f"{{{OVF}}}key"), item.get(f"{{{OVF}}}value"), item.findtext(f"{{{OVF}}}Description"))
        for item in envelope.iter(f"{{{OVF}}}Property")
    ]
    assert asked == [(entry.key, entry.default, entry.description) for entry in appliance.ovf.properties]
    assert not texts(envelope, "//ovf:ProductSection[ovf:Property]/@ovf:class")


def test_says_what_it_writes_to_the_data_disk(appliance: Appliance, envelope: etree._Element) -> None:
    said = texts(envelope, "//ovf:ProductSection[@ovf:class='data-format']/ovf:Version/text()")
    assert said == [str(appliance.disks.data.format_epoch)]


def test_asks_under_headings_in_the_order_of_the_one_truth(appliance: Appliance, envelope: etree._Element) -> None:
    section = envelope.find(f".//{{{OVF}}}ProductSection")
    assert section is not None
    asked, heading = [], ""
    for item in section:
        if item.tag == f"{{{OVF}}}Category":
            heading = str(item.text)
        elif item.tag == f"{{{OVF}}}Property":
            asked.append((heading, item.get(f"{{{OVF}}}key"), item.findtext(f"{{{OVF}}}Label")))
    assert asked == [(entry.category, entry.key, entry.label) for entry in appliance.ovf.properties]


def test_asks_for_no_password(envelope: etree._Element) -> None:
    assert not texts(envelope, "//@ovf:password")


def test_shows_the_licence_agreement_as_it_was_given(envelope: etree._Element) -> None:
    assert texts(envelope, "//ovf:EulaSection/ovf:License/text()") == [EULA]


def test_tells_which_disk_to_enlarge_and_by_how_much(appliance: Appliance, envelope: etree._Element) -> None:
    (notes,) = texts(envelope, "//ovf:AnnotationSection/ovf:Annotation/text()")
    assert f"Hard disk 2 holds the data and is delivered with {appliance.disks.data.size_gb} GB. Enlarge it" in notes
    assert f"{appliance.retention.log_gb_per_stream} GB for each call" in notes


def test_hands_properties_over_by_guestinfo(envelope: etree._Element) -> None:
    assert texts(envelope, "//ovf:VirtualHardwareSection/@ovf:transport") == ["com.vmware.guestInfo"]


def test_puts_both_disks_on_pvscsi_in_order(envelope: etree._Element) -> None:
    assert texts(envelope, "//ovf:Item[rasd:ResourceType='6']/rasd:ResourceSubType/text()") == ["VirtualSCSI"]
    disks = "//ovf:Item[rasd:ResourceType='17']/rasd:"
    assert texts(envelope, f"{disks}AddressOnParent/text()") == ["0", "1"]
    assert texts(envelope, f"{disks}HostResource/text()") == ["ovf:/disk/disk1", "ovf:/disk/disk2"]
    assert texts(envelope, "//ovf:Disk/@ovf:capacity") == [str(10 << 30), str(40 << 30)]
    assert texts(envelope, "//ovf:Disk/@ovf:populatedSize") == [str(1 << 30), str(1 << 20)]
    assert texts(envelope, "//ovf:File/@ovf:href") == ["system.vmdk", "data.vmdk"]


def test_takes_hardware_and_guest_from_the_one_truth(appliance: Appliance, envelope: etree._Element) -> None:
    assert texts(envelope, "//vssd:VirtualSystemType/text()") == [f"vmx-{appliance.ovf.hardware_version}"]
    assert texts(envelope, "//ovf:OperatingSystemSection/@vmw:osType") == [appliance.ovf.guest_os]
    assert texts(envelope, "//vmw:Config[@vmw:key='firmware']/@vmw:value") == [appliance.ovf.firmware]
    assert texts(envelope, "//ovf:Network/@ovf:name") == [appliance.ovf.network]
    assert texts(envelope, "//ovf:Item[rasd:ResourceType='10']/rasd:ResourceSubType/text()") == ["VmxNet3"]
