"""First boot in a machine, with a stub in the place of VMware's channel (QEMU has none; tests/image uses a disc)."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from testinfra.host import Host

testinfra_hosts = ["podman://voice-verify-setup"]
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f admin@example.org"
DIGEST = "a" * 64
NETWORK = "/etc/systemd/network/10-voice-verify.network"


def environment(**properties: str) -> str:
    entries = "".join(f'<Property oe:key="{key}" oe:value="{value}"/>' for key, value in properties.items())
    namespace = "http://schemas.dmtf.org/ovf/environment/1"
    section = f"<PropertySection>{entries}</PropertySection>"
    return f'<Environment xmlns="{namespace}" xmlns:oe="{namespace}">{section}</Environment>'


@pytest.fixture
def vmware(host: Host) -> Iterator[Host]:
    """A machine whose hypervisor says VMware and answers with /tmp/ovf-env.xml."""
    stubs = {
        "systemd-detect-virt": "#!/bin/sh\necho vmware\n",
        "vmware-rpctool": '#!/bin/sh\n[ "$1" = "info-get guestinfo.ovfEnv" ] && cat /tmp/ovf-env.xml\n',
    }
    for name, text in stubs.items():
        host.check_output("printf %s > /usr/local/bin/" + name, text)
        host.check_output("chmod +x /usr/local/bin/" + name)
    yield host
    for name in stubs:
        host.check_output("rm /usr/local/bin/" + name)
    host.check_output("rm -f /etc/voice-verify/setup.json " + NETWORK)


def give(host: Host, **properties: str) -> int:
    host.check_output("printf '%%s' %s > /tmp/ovf-env.xml", environment(**properties))
    return int(host.run("vv-setup --boot").rc)


def outcome(host: Host) -> dict[str, object]:
    loaded: dict[str, object] = json.loads(host.file("/run/voice-verify/setup.json").content_string)
    return loaded


def test_properties_become_configuration(vmware: Host) -> None:
    assert give(
        vmware, hostname="VV1", domain="example.org", address="192.0.2.10/24", gateway="192.0.2.1",
        dns="192.0.2.53, 192.0.2.54", ntp="ntp.example.org", ssh_key=KEY, operator_key_sha256=DIGEST,
    ) == 0  # fmt: skip
    network = vmware.file(NETWORK).content_string
    for line in (
        "Address=192.0.2.10/24",
        "Gateway=192.0.2.1",
        "DNS=192.0.2.53",
        "DNS=192.0.2.54",
        "Domains=example.org",
    ):
        assert line in network.splitlines()
    assert vmware.check_output("hostname") == "vv1"
    assert "vv1.example.org vv1" in vmware.file("/etc/hosts").content_string
    assert KEY in vmware.file("/etc/ssh/authorized_keys.d/admin").content_string
    assert vmware.file("/etc/voice-verify/operator-key.sha256").content_string.strip() == DIGEST
    assert "NTP=ntp.example.org" in vmware.file("/etc/systemd/timesyncd.conf.d/voice-verify.conf").content_string
    assert (
        "VV_PUBLIC_WS_URL=ws://voiceverify.example.org" in vmware.file("/run/voice-verify/service.env").content_string
    )


def test_record_of_the_properties_is_for_root_only(vmware: Host) -> None:
    give(vmware, hostname="vv1")
    for path in ("/etc/voice-verify/setup.json", "/run/voice-verify/setup.json"):
        assert (vmware.file(path).user, vmware.file(path).mode) == ("root", 0o600)


def test_same_properties_change_nothing(vmware: Host) -> None:
    give(vmware, address="192.0.2.10/24")
    before = vmware.file(NETWORK).mtime
    give(vmware, address="192.0.2.10/24")
    assert outcome(vmware)["state"] == "unchanged"
    assert vmware.file(NETWORK).mtime == before


def test_wrong_properties_leave_the_previous_ones_and_are_all_named(vmware: Host) -> None:
    give(vmware, hostname="before", address="192.0.2.10/24")
    assert give(vmware, hostname="no_underscore", address="192.0.2.10", ssh_key="not a key") == 1
    assert vmware.check_output("cat /etc/hostname") == "before"
    assert "Address=192.0.2.10/24" in vmware.file(NETWORK).content_string
    problems = outcome(vmware)["problems"]
    assert isinstance(problems, list)
    assert [problem.split(" ")[0] for problem in problems] == ["hostname", "address", "ssh_key"]
    shown = vmware.run("vv-status").stdout
    assert "PROPERTIES" in shown
    assert "no_underscore" in shown


def test_wrong_first_properties_leave_dhcp(vmware: Host) -> None:
    assert give(vmware, address="300.1.1.1/24") == 1
    assert not vmware.file(NETWORK).exists


def test_machine_without_properties_uses_dhcp(host: Host) -> None:
    assert host.run("vv-setup --boot").rc == 0
    assert outcome(host)["state"] == "none"
    assert not host.file(NETWORK).exists


def test_status_is_for_programs_too(host: Host) -> None:
    host.run("vv-setup --boot")
    state = json.loads(host.run("vv-status --json").stdout)
    assert state["version"]
    assert state["build_id"] == "molecule"
    assert state["ready"] is False
    assert set(state["services"]) == {"postgresql.service", "voice-verify.service", "nginx.service"}


def test_console_runs_and_screens_have_no_login(host: Host) -> None:
    host.check_output("systemctl restart vv-console")
    assert host.service("vv-console").is_running
    assert host.service("getty@tty1").is_masked
    assert host.service("serial-getty@ttyS0").is_masked


def test_setup_comes_before_the_network(host: Host) -> None:
    before = host.check_output("systemctl show --property=Before --value vv-setup.service").split()
    assert {"systemd-networkd.service", "ssh.service", "network-pre.target"} <= set(before)
