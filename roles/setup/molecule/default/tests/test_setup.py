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


@pytest.fixture(autouse=True)
def fresh(host: Host) -> None:
    """As an image is before its first boot."""
    host.check_output("rm -f /etc/voice-verify/*.json /etc/voice-verify/*.pem /etc/ssh/authorized_keys.d/* " + NETWORK)


@pytest.fixture
def vmware(host: Host) -> Iterator[Host]:
    """A machine whose hypervisor says VMware and answers with the files /tmp/guestinfo.*."""
    stubs = {
        "systemd-detect-virt": "#!/bin/sh\necho vmware\n",
        "vmware-rpctool": '#!/bin/sh\n[ $# -eq 1 ] || exit 64\ncat "/tmp/${1#info-get }" 2>/dev/null\n',
    }
    for name, text in stubs.items():
        host.check_output("printf %s > /usr/local/bin/" + name, text)
        host.check_output("chmod +x /usr/local/bin/" + name)
    yield host
    for name in stubs:
        host.check_output("rm /usr/local/bin/" + name)
    host.check_output("rm -f /tmp/guestinfo.*")


def give(host: Host, **properties: str) -> int:
    host.check_output("printf '%%s' %s > /tmp/guestinfo.ovfEnv", environment(**properties))
    return int(host.run("vv-setup --boot").rc)


def outcome(host: Host) -> dict[str, object]:
    loaded: dict[str, object] = json.loads(host.file("/run/voice-verify/setup.json").content_string)
    return loaded


def test_properties_become_configuration(vmware: Host) -> None:
    assert give(
        vmware, hostname="VV1", domain="example.org", address="192.0.2.10/24", gateway="192.0.2.1",
        dns="192.0.2.53, 192.0.2.54", ntp="ntp.example.org", ssh_key=KEY, operator_key_sha256=DIGEST,
        advertised_address="203.0.113.7", ssh_sources="192.0.2.0/24", tier="2",
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
    service = vmware.file("/run/voice-verify/service.env").content_string.splitlines()
    assert {"VV_PUBLIC_WS_URL=ws://voiceverify.example.org", "VV_SIP_ADVERTISED=203.0.113.7"} <= set(service)
    assert "VV_MAX_STREAMS=100" in service
    access = json.loads(vmware.file("/etc/voice-verify/access.json").content_string)
    assert access["sources"]["ssh_sources"] == ["192.0.2.0/24"]


def test_record_is_for_root_and_the_note_for_administrators(vmware: Host) -> None:
    give(vmware, hostname="vv1")
    record, note = vmware.file("/etc/voice-verify/setup.json"), vmware.file("/run/voice-verify/setup.json")
    assert (record.user, record.mode) == ("root", 0o600)
    assert (note.user, note.group, note.mode) == ("root", "adm", 0o640)


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
    assert [problem.replace(":", " ").split()[0] for problem in problems] == ["hostname", "address", "ssh_key"]
    shown = vmware.run("vv-status").stdout
    assert "PROPERTIES" in shown
    assert "no_underscore" in shown


def test_wrong_first_properties_leave_dhcp_and_a_way_in_for_the_administrator(vmware: Host) -> None:
    assert give(vmware, address="300.1.1.1/24", ssh_key=KEY) == 1
    assert not vmware.file(NETWORK).exists
    assert KEY in vmware.file("/etc/ssh/authorized_keys.d/admin").content_string
    access = json.loads(vmware.file("/etc/voice-verify/access.json").content_string)
    assert access["sources"]["web_sources"] == ["127.0.0.1/32"]


def test_wrong_property_is_corrected_on_the_machine(vmware: Host) -> None:
    assert give(vmware, address="192.0.2.10/24", gateway="198.51.100.1") == 1
    refused = vmware.run("vv-setup set gateway=198.51.100.2")
    assert refused.rc == 1
    assert "outside the network" in refused.stderr
    assert vmware.run("vv-setup set gateway=192.0.2.1").rc == 0
    assert "Gateway=192.0.2.1" in vmware.file(NETWORK).content_string
    shown = [" ".join(line.split()) for line in vmware.check_output("vv-setup show").splitlines()]
    assert "gateway set here, hides VMware guestinfo 192.0.2.1" in shown
    # And it is still so after a restart, until it is taken back.
    assert vmware.run("vv-setup --boot").rc == 0
    assert outcome(vmware)["overrides"] == ["gateway"]
    assert "outside the network" in vmware.run("vv-setup unset gateway").stderr


def test_certificate_is_set_from_a_file(vmware: Host) -> None:
    give(vmware, hostname="vv1")
    vmware.check_output(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9 -subj /CN=vv1.example.org "
        "-keyout /root/key.pem -out /root/certificate.pem 2>/dev/null"
    )
    assert vmware.run("vv-setup set certificate=@/root/certificate.pem plain_ports=closed domain=example.org").rc == 0
    file = vmware.file("/etc/voice-verify/certificate.pem")
    assert (file.mode, file.content_string) == (0o600, vmware.file("/root/certificate.pem").content_string)
    assert "wss://voiceverify.example.org" in vmware.file("/run/voice-verify/service.env").content_string
    assert "1 certificate(s), without a private key" in vmware.check_output("vv-setup show")


def test_text_in_guestinfo_is_taken_too(vmware: Host) -> None:
    vmware.check_output("printf 'hostname: vv7\\ndomain: example.org\\n' > /tmp/guestinfo.userdata")
    assert vmware.run("vv-setup --boot").rc == 0
    assert outcome(vmware)["source"] == "VMware guestinfo.userdata"
    assert vmware.check_output("cat /etc/hostname") == "vv7"


def test_settings_are_roots_affair(vmware: Host) -> None:
    refused = vmware.run("runuser -u nobody -- vv-setup set hostname=x")
    assert refused.rc == 1
    assert "sudo vv-setup set hostname=x" in refused.stderr


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
    assert set(state["services"]) == {"postgresql.service", "voice-verify.service", "nginx.service", "kamailio.service"}


def test_console_runs_and_screens_have_no_login(host: Host) -> None:
    host.check_output("systemctl restart vv-console")
    assert host.service("vv-console").is_running
    assert host.service("getty@tty1").is_masked
    assert host.service("serial-getty@ttyS0").is_masked


def test_setup_comes_before_the_network(host: Host) -> None:
    before = host.check_output("systemctl show --property=Before --value vv-setup.service").split()
    assert {"systemd-networkd.service", "ssh.service", "network-pre.target"} <= set(before)


@pytest.mark.parametrize("unit", ["vv-setup", "vv-setup-online", "vv-console"])
def test_unit_is_sandboxed(host: Host, unit: str) -> None:
    report = host.check_output("systemd-analyze security --no-pager %s.service", unit)
    assert float(report.splitlines()[-1].split(":")[1].split()[0]) < 3.0


def test_sandbox_leaves_room_for_the_configuration(vmware: Host) -> None:
    properties = environment(hostname="vv2", address="192.0.2.11/24", ntp="192.0.2.123", ssh_key=KEY)
    vmware.check_output("printf '%%s' %s > /tmp/guestinfo.ovfEnv", properties)
    vmware.check_output("systemctl restart vv-setup")
    assert outcome(vmware)["state"] == "applied"
    assert vmware.check_output("hostname") == "vv2"
    assert "Address=192.0.2.11/24" in vmware.file(NETWORK).content_string
    assert KEY in vmware.file("/etc/ssh/authorized_keys.d/admin").content_string
