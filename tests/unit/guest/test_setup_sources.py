"""Where properties come from, and which source wins."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from vv_setup import sources
from vv_setup.environment import MAXIMUM_BYTES, Environment, Unreadable, decode
from vv_setup.sources import imds
from vv_setup.sources.ovf import NAMESPACE, parse

Programs = Callable[[str, str], None]
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


def guestinfo(programs: Programs, **answers: str) -> None:
    """A stub of VMware's channel that is as strict: one argument, one line of command."""
    programs("systemd-detect-virt", "echo vmware")
    cases = "".join(
        f"'info-get guestinfo.{name.replace('_', '.')}') cat <<'END'\n{answers[name]}\nEND\n;;\n" for name in answers
    )
    programs(
        "vmware-rpctool", f'[ $# -eq 1 ] || exit 64\ncase "$1" in\n{cases}*) echo "No value found" >&2; exit 1;;\nesac'
    )


def discs(programs: Programs, blkid: str, mount: str) -> None:
    """A machine with block devices: `blkid` answers for "$4", `mount` fills "$folder" for "$device"."""
    programs("systemd-detect-virt", "echo kvm")
    programs("blkid", blkid)
    programs("mount", f"eval folder=\\${{$#}}; device=$5\n{mount}")
    programs("umount", 'rm -rf "$1"/*')


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
        ("<x>" + "y" * MAXIMUM_BYTES + "</x>", "larger than"),
    ],
)
def test_anything_else_is_refused_with_a_reason(text: str, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        parse(text)


def test_guestinfo_is_asked_on_vmware(programs: Programs) -> None:
    guestinfo(programs, ovfEnv=DOCUMENT)
    found = sources.find(network=False)
    assert found is not None
    assert (found.source, found.properties["hostname"]) == ("VMware guestinfo", "vv1")
    assert not found.only_our_keys


def test_text_in_guestinfo_wins_over_the_ovf_environment(programs: Programs) -> None:
    guestinfo(programs, ovfEnv=DOCUMENT, userdata="hostname: vv2")
    found = sources.find(network=False)
    assert found == Environment("VMware guestinfo.userdata", {"hostname": "vv2"}, only_our_keys=True)


def test_text_in_guestinfo_may_be_base64(programs: Programs) -> None:
    text = base64.b64encode(b"hostname: vv2\n").decode()
    guestinfo(programs, userdata=text, userdata_encoding="base64")
    found = sources.find(network=False)
    assert found is not None
    assert found.properties == {"hostname": "vv2"}


@pytest.mark.parametrize(("encoding", "reason"), [("base64", "not base64"), ("gzip+base64", "only base64")])
def test_text_in_guestinfo_that_is_not_what_it_says(programs: Programs, encoding: str, reason: str) -> None:
    guestinfo(programs, userdata="hostname: vv2", userdata_encoding=encoding)
    found = sources.find(network=False)
    assert found is not None
    assert reason in found.problem


def test_guestinfo_is_not_asked_elsewhere(programs: Programs) -> None:
    guestinfo(programs, ovfEnv=DOCUMENT)
    programs("systemd-detect-virt", "echo kvm")
    programs("blkid", "exit 2")
    assert sources.find(network=False) is None


def test_vmware_machine_without_properties_has_none(programs: Programs) -> None:
    guestinfo(programs)
    programs("blkid", "exit 2")
    assert sources.find(network=False) is None


def test_disc_is_searched_on_every_drive(programs: Programs) -> None:
    # Only the second disc carries the file.
    discs(
        programs,
        '[ "$4" = TYPE=iso9660 ] && echo /dev/sr0 && echo /dev/vdc',
        f"[ $device = /dev/vdc ] && cat > \"$folder/ovf-env.xml\" <<'END'\n{DOCUMENT}END\n",
    )
    found = sources.find(network=False)
    assert found is not None
    assert (found.source, found.properties["hostname"]) == ("disc /dev/vdc", "vv1")


def test_disc_that_cannot_be_read_is_told(programs: Programs) -> None:
    discs(programs, '[ "$4" = TYPE=iso9660 ] && echo /dev/sr0', 'echo "<html/>" > "$folder/ovf-env.xml"')
    found = sources.find(network=False)
    assert found is not None
    assert "not Environment" in found.problem


@pytest.mark.parametrize("label", ["cidata", "CIDATA"])
def test_nocloud_gives_user_data_and_the_host_name_of_meta_data(programs: Programs, label: str) -> None:
    discs(
        programs,
        f'[ "$4" = LABEL={label} ] && echo /dev/vdb',
        'printf "domain: example.org\\n" > "$folder/user-data"\n'
        'printf "instance-id: i-1\\nlocal-hostname: node7.example.net\\n" > "$folder/meta-data"',
    )
    assert sources.find(network=False) == Environment(
        "NoCloud /dev/vdb", {"domain": "example.org"}, {"hostname": "node7"}, only_our_keys=True
    )


def test_nocloud_for_another_program_is_refused(programs: Programs) -> None:
    discs(programs, '[ "$4" = LABEL=cidata ] && echo /dev/sr0', 'printf "#cloud-config\\n" > "$folder/user-data"')
    found = sources.find(network=False)
    assert found is not None
    assert "cloud-init" in found.problem


def test_link_on_a_disc_leads_nowhere(programs: Programs) -> None:
    discs(programs, '[ "$4" = LABEL=cidata ] && echo /dev/sr0', 'ln -s /etc/hostname "$folder/user-data"')
    assert sources.find(network=False) is None


def test_file_system_that_cannot_be_mounted_is_passed_over(programs: Programs) -> None:
    discs(programs, "echo /dev/sr0", "exit 32")
    assert sources.find(network=False) is None


def test_metadata_are_asked_on_ec2_only_and_once_there_is_a_network(programs: Programs) -> None:
    programs("systemd-detect-virt", "echo amazon")
    found = sources.find(network=False)
    assert found == Environment(imds.SOURCE, pending=True, assigns_addresses=True)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"x" * (MAXIMUM_BYTES + 1), "larger than"), (b"\x1f\x8b\x08", "compressed"), (b"\xff\xfeh\x00", "UTF-8")],
)
def test_file_that_is_no_text_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        decode(content)
