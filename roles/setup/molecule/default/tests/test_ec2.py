"""Properties from EC2, by the double of its metadata service on the real address."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

testinfra_hosts = ["podman://voice-verify-setup"]
DOUBLE = Path(__file__).resolve().parents[5] / "tests" / "doubles" / "imds.py"
ADDRESS = "169.254.169.254"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f launch-key"
CARDS = [
    {"mac": "0e:00:00:00:00:01", "device_number": 0, "local_ipv4s": ["10.0.0.4"]},
    {"mac": "0e:00:00:00:00:02", "device_number": 1, "local_ipv4s": ["10.0.1.20"]},
]
Launch = Callable[..., None]


@pytest.fixture
def launch(host: Host) -> Iterator[Launch]:
    """Makes the machine an instance with that metadata, before its first boot."""
    host.check_output("rm -f /etc/voice-verify/*.json /etc/ssh/authorized_keys.d/* /etc/systemd/network/*voice-verify*")
    host.check_output("printf '#!/bin/sh\\necho amazon\\n' > /usr/local/bin/systemd-detect-virt")
    host.check_output("chmod +x /usr/local/bin/systemd-detect-virt")
    host.check_output("ip address add %s/32 dev lo", ADDRESS)
    host.check_output("printf %%s %s > /tmp/imds.py", DOUBLE.read_text(encoding="utf-8"))

    def run(**instance: Any) -> None:
        host.check_output("printf %%s %s > /tmp/instance.json", json.dumps(instance))
        host.check_output(
            "systemd-run --quiet --collect --unit=imds sh -c %s",
            f"exec python3 /tmp/imds.py {ADDRESS} 80 < /tmp/instance.json",
        )

    yield run
    host.run("systemctl stop imds")
    host.check_output("ip address delete %s/32 dev lo", ADDRESS)
    host.check_output("rm /usr/local/bin/systemd-detect-virt")


def outcome(host: Host) -> dict[str, Any]:
    return dict(json.loads(host.file("/run/voice-verify/setup.json").content_string))


def test_machine_is_shut_until_the_network_is_there(host: Host, launch: Launch) -> None:
    launch(user_data="hostname: vv1", public_key=KEY)
    assert host.run("vv-setup --boot").rc == 0
    assert outcome(host)["state"] == "pending"
    assert "127.0.0.1/32" in host.file("/etc/voice-verify/access.json").content_string
    assert "waiting for EC2 user data" in host.run("vv-status").stdout


def test_user_data_become_configuration(host: Host, launch: Launch) -> None:
    launch(user_data="#voice-verify\nhostname: vv1\nweb_sources: 192.0.2.0/24\n", public_key=KEY, interfaces=CARDS)
    assert host.run("vv-setup --boot").rc == 0
    assert host.run("vv-setup --online").rc == 0
    assert (outcome(host)["state"], outcome(host)["source"]) == ("applied", "EC2 user data")
    assert host.check_output("hostname") == "vv1"
    assert KEY in host.file("/etc/ssh/authorized_keys.d/admin").content_string
    assert "NTP=169.254.169.123" in host.file("/etc/systemd/timesyncd.conf.d/voice-verify.conf").content_string
    access = json.loads(host.file("/etc/voice-verify/access.json").content_string)
    assert access["sources"]["web_sources"] == ["192.0.2.0/24"]
    assert "From=10.0.1.20" in host.file("/etc/systemd/network/05-voice-verify-1.network").content_string
    assert host.run("vv-setup --online").rc == 0
    assert outcome(host)["state"] == "unchanged"


def test_wrong_user_data_leave_the_key_pair_as_the_way_in(host: Host, launch: Launch) -> None:
    launch(user_data="address: 10.0.0.9/24\n", public_key=KEY)
    assert host.run("vv-setup --online").rc == 1
    assert "AWS gives this machine its address" in outcome(host)["problems"][0]
    assert KEY in host.file("/etc/ssh/authorized_keys.d/admin").content_string
    # And from there it is corrected.
    assert host.run("vv-setup set address=").rc == 0
    assert outcome(host)["state"] == "applied"


def test_unit_asks_on_ec2_only_and_before_the_service(host: Host) -> None:
    unit = host.file("/etc/systemd/system/vv-setup-online.service").content_string
    assert "ConditionVirtualization=amazon" in unit
    before = host.check_output("systemctl show --property=Before --value vv-setup-online.service").split()
    assert "voice-verify.service" in before
    assert host.service("vv-setup-online").is_enabled
