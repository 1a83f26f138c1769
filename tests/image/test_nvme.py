"""The same disks on other controllers, as on AWS Nitro."""

from __future__ import annotations

from vvctl.appliance import Appliance

from . import voices
from .guest import Guest, Measured


def test_same_disks_become_ready_as_nvme(
    as_nvme: Guest, renewed: Guest, appliance: Appliance, measured: Measured
) -> None:
    """`renewed` boots beside it and is looked at later."""
    measured["nvme_ready_s"] = round(as_nvme.wait_ready())
    devices = as_nvme.root("lsblk -no NAME,LABEL").replace("─", " ").replace("└", " ").replace("├", " ")
    labels = {label[0]: name for name, *label in map(str.split, devices.splitlines()) if label}
    assert labels[appliance.disks.system.label].startswith("nvme0n1")
    assert labels[appliance.disks.data.label].startswith("nvme1n1")


def test_voiceprints_are_there_as_nvme(as_nvme: Guest) -> None:
    as_nvme.wait_ready()
    assert as_nvme.verify(voices.TARGET, voices.speech(voices.TARGET, 6))["decision"] == "verified"
