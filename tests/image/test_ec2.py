"""An instance of AWS Nitro: NVMe, an address by DHCP, and settings by IMDSv2."""

from __future__ import annotations

import pytest

from vvctl.appliance import Appliance

from .guest import Guest, Measured


@pytest.fixture(scope="module", autouse=True)
def _ready(renewed: Guest, restored: Guest, measured: Measured) -> None:
    """`restored` boots beside it and is looked at later."""
    measured["ec2_ready_s"] = round(renewed.wait_ready())


def test_disks_are_found_on_nvme(renewed: Guest, appliance: Appliance) -> None:
    """Whichever name each has: the kernel looks at both controllers at once."""
    found = dict(line.split() for line in renewed.root("lsblk -rno LABEL,NAME | grep ^vv-").splitlines())
    labels = appliance.disks.system.label, appliance.disks.data.label
    assert {found[label].split("p")[0] for label in labels} == {"nvme0n1", "nvme1n1"}


def test_takes_its_settings_from_the_metadata(renewed: Guest) -> None:
    """Its SSH key is that of the key pair: without it nothing could be asked here."""
    state = renewed.state()
    assert (state["setup"]["source"], state["setup"]["problems"]) == ("EC2 user data", [])
    assert (state["hostname"], state["addresses"]) == (renewed.name, [renewed.address])
    # What Amazon offers to every instance, since no other time server was named.
    assert "169.254.169.123" in renewed.root("cat /etc/systemd/timesyncd.conf.d/voice-verify.conf")
    with renewed.api(key=renewed.credentials.operator_key) as api:
        assert api.get("/api/v2/speakers").status_code == 200


def test_metadata_are_for_root_only(renewed: Guest) -> None:
    ask = "timeout 20 bash -c ': < /dev/tcp/169.254.169.254/80'"
    renewed.root(ask)
    for account in ("voice-verify", "www-data", "nobody"):
        done = renewed.shell.attempt(f"runuser -u {account} -- {ask}")
        # Refused at once; 124 would be silence.
        assert done.returncode == 1, (account, done.stderr)


def test_no_unit_failed_on_ec2(renewed: Guest) -> None:
    assert renewed.root("systemctl list-units --failed --plain --no-legend") == ""
