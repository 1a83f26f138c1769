"""Finding and reading the OVF environment."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from vv_setup import environment
from vv_setup.environment import EnvironmentUnreadable, parse

NAMESPACE = environment.NAMESPACE
DOCUMENT = f"""<?xml version="1.0" encoding="UTF-8"?>
<Environment xmlns="{NAMESPACE}" xmlns:oe="{NAMESPACE}" xmlns:ve="http://www.vmware.com/schema/ovfenv" oe:id="">
  <PlatformSection><Kind>VMware ESXi</Kind></PlatformSection>
  <PropertySection>
    <Property oe:key="hostname" oe:value="vv1"/>
    <Property oe:key="domain" oe:value="a&amp;b"/>
    <Property oe:key="dns" oe:value=""/>
  </PropertySection>
  <ve:EthernetAdapterSection><ve:Adapter ve:mac="00:50:56:00:00:01"/></ve:EthernetAdapterSection>
</Environment>
"""


def test_properties_are_read_from_what_esxi_writes() -> None:
    assert parse(DOCUMENT) == {"hostname": "vv1", "domain": "a&b", "dns": ""}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not XML"),
        ("hostname=vv1", "not XML"),
        (DOCUMENT[:200], "not XML"),
        ("<html/>", "not Environment"),
        (DOCUMENT.replace(NAMESPACE, "http://example.org/other"), "not Environment"),
        ('<!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>', "document type"),
        ("<x>" + "y" * environment.MAXIMUM_BYTES + "</x>", "larger than"),
    ],
)
def test_anything_else_is_refused_with_a_reason(text: str, reason: str) -> None:
    with pytest.raises(EnvironmentUnreadable, match=reason):
        parse(text)


def test_guestinfo_is_asked_on_vmware(programs: Callable[[str, str], None]) -> None:
    programs("systemd-detect-virt", "echo vmware")
    programs("vmware-rpctool", '[ "$1" = "info-get guestinfo.ovfEnv" ] && echo "<found/>"')
    found = environment.find()
    assert found is not None
    assert found.text.strip() == "<found/>"
    assert found.source == "VMware guestinfo"


def test_guestinfo_is_not_asked_elsewhere(programs: Callable[[str, str], None]) -> None:
    programs("systemd-detect-virt", "echo kvm")
    programs("vmware-rpctool", 'echo "<found/>"')
    programs("blkid", "exit 2")
    assert environment.find() is None


def test_vmware_machine_without_properties_has_none(programs: Callable[[str, str], None]) -> None:
    programs("systemd-detect-virt", "echo vmware")
    programs("vmware-rpctool", 'echo "No value found" >&2; exit 1')
    programs("blkid", "exit 2")
    assert environment.find() is None


def test_disc_is_searched_on_every_drive(programs: Callable[[str, str], None]) -> None:
    programs("systemd-detect-virt", "echo kvm")
    programs("blkid", "echo /dev/sr0; echo /dev/vdc")
    # The last argument of mount is the folder; only the second disc carries the file.
    programs("mount", 'eval folder=\\${$#}; case "$*" in */dev/vdc*) echo "<found/>" > "$folder/ovf-env.xml";; esac')
    programs("umount", 'rm -f "$1/ovf-env.xml"')
    found = environment.find()
    assert found is not None
    assert found.text.strip() == "<found/>"
    assert found.source == "disc /dev/vdc"
