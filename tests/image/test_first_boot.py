"""The disks taken out of the OVA boot as VMware would attach them."""

from __future__ import annotations

import json

from vvctl.appliance import Appliance

from .guest import Guest


def test_becomes_ready(first: Guest) -> None:
    with first.api(key="") as api:
        health = api.get("/health/ready").json()
    assert health["status"] == "ready"
    assert [check for check in health["checks"] if not check["ok"]] == []


def test_is_an_evaluation_until_it_gets_a_licence(first: Guest, appliance: Appliance) -> None:
    with first.api(key="") as api:
        licence = api.get("/health/live").json()["licence"]
    calls = appliance.licence.evaluation_calls
    assert licence == {"state": "evaluation", "calls": calls, "expires": None, "problems": []}


def test_disks_and_network_card_are_those_of_vmware(first: Guest) -> None:
    drivers = first.root("readlink -f /sys/block/sd?/device/../../../driver /sys/class/net/*/device/driver")
    assert {path.rpartition("/")[2] for path in drivers.splitlines()} == {"vmw_pvscsi", "vmxnet3"}


def test_takes_its_name_and_address_from_the_properties(first: Guest) -> None:
    state = first.state()
    assert state["hostname"] == first.name
    assert state["addresses"] == [first.address]
    assert state["setup"]["state"] in {"applied", "unchanged"}


def test_console_shows_address_health_and_next_step(first: Guest, appliance: Appliance) -> None:
    address = f"http://{first.address}:{appliance.port('api').first}/swagger/"
    first.until("the console", lambda: f"Next: open {address}" in first.machine.console() or None, 15)
    assert appliance.product.title in first.machine.console()
    assert first.credentials.operator_key not in first.machine.console()


def test_customer_data_lies_on_the_data_disk(first: Guest, appliance: Appliance) -> None:
    label, mount = appliance.disks.data.label, appliance.disks.data.mount
    found = json.loads(first.root(f"findmnt --json --output TARGET,LABEL,FSTYPE --mountpoint {mount}"))
    assert found["filesystems"] == [{"target": mount, "label": label, "fstype": "ext4"}]
    version = first.root(f"find {appliance.paths.postgresql} -maxdepth 3 -name PG_VERSION")
    assert version.startswith(f"{appliance.paths.postgresql}/{appliance.os.postgresql}/")
    settled = first.root("runuser -u postgres -- psql -XAtc 'SHOW data_directory'")
    assert settled.startswith(f"{appliance.paths.postgresql}/")


def test_no_unit_failed(first: Guest) -> None:
    assert first.root("systemctl list-units --failed --plain --no-legend") == ""
    # Between two attempts it is not failed but starting.
    counts = first.root("systemctl show --property=Id,NRestarts '*.service'").split("\n\n")
    assert [unit for unit in counts if "NRestarts=0" not in unit] == []
