"""A freshly built system disk takes over the data disk of another appliance: what an upgrade does."""

from __future__ import annotations

import json

import pytest

from tests.unit.guest.certificates import NAME, Certificates
from vvctl.appliance import Appliance

from . import voices
from .guest import Guest, Measured

DOMAIN = NAME.partition(".")[2]


def test_new_system_with_the_same_data_still_verifies(renewed: Guest, measured: Measured) -> None:
    measured["new_system_ready_s"] = round(renewed.wait_ready())
    speech = voices.speech(voices.TARGET, 6)
    right, wrong = renewed.at_once(
        [lambda: renewed.verify(voices.TARGET, speech), lambda: renewed.verify(voices.IMPOSTOR, speech)]
    )
    assert right["decision"] == "verified"
    assert wrong["decision"] != "verified"


def test_new_system_serves_tls_with_the_certificate_on_the_data_disk(renewed: Guest, with_tls: Certificates) -> None:
    renewed.wait_ready()
    assert renewed.served_certificate("api_tls") in with_tls.chain


@pytest.mark.usefixtures("with_tls")
def test_what_was_set_on_the_machine_holds_on(renewed: Guest) -> None:
    renewed.wait_ready()
    shown = renewed.root("vv-setup show").splitlines()
    assert [line.split() for line in shown if line.startswith("domain ")] == [["domain", "set", "here", DOMAIN]]


def test_file_system_fills_the_enlarged_disk(renewed: Guest, appliance: Appliance) -> None:
    renewed.wait_ready()
    mount = appliance.disks.data.mount
    source = renewed.root(f"findmnt --noheadings --output SOURCE --mountpoint {mount}")
    found = json.loads(renewed.root(f"lsblk --json --bytes --nodeps --output SIZE,FSSIZE {source}"))["blockdevices"][0]
    assert found["size"] > appliance.disks.data.size_gb << 30
    # The rest is for inodes and the journal.
    assert int(found["fssize"]) > 0.97 * found["size"]
