"""Without its data disk the appliance keeps everything down, and writes nothing that an upgrade would lose."""

from __future__ import annotations

from vvctl.appliance import Appliance

from .guest import SETTLE_LIMIT_S, Guest


def settled(guest: Guest, state: str) -> str:
    """The console, once the guest has found out that its data disk is `state`."""
    guest.wait_ssh()
    guest.until(
        f"the data disk to be {state}", lambda: guest.state()["data_disk"].get("state") == state or None, SETTLE_LIMIT_S
    )
    guest.until("the console to say so", lambda: "DATA DISK" in guest.machine.console() or None, SETTLE_LIMIT_S)
    return guest.machine.console()


def assert_system_disk_is_untouched(guest: Guest, appliance: Appliance) -> None:
    """No service of ours runs, and nothing of theirs is on the system disk."""
    mount = appliance.disks.data.mount
    services = guest.state()["services"]
    assert {unit for unit, active in services.items() if active == "active"} <= {"nginx.service", "kamailio.service"}, (
        services
    )
    assert guest.shell.attempt(f"mountpoint -q {mount}").returncode != 0
    assert guest.root(f"ls -A {mount}") == ""
    assert "i" in guest.root(f"lsattr -d {mount}").split()[0]
    assert guest.shell.attempt(f"touch {mount}/x").returncode != 0
    databases = "find / -xdev -name PG_VERSION -not -path '/proc/*'"
    assert guest.root(databases) == ""
    owned = "find / -xdev -type f ( -user postgres -o -user voice-verify ) -size +0"
    assert guest.root(owned.replace("(", r"\(").replace(")", r"\)")) == ""


def test_console_says_why(without_data: Guest) -> None:
    console = settled(without_data, "missing")
    assert "no data disk" in console
    assert "attach the data disk" in console


def test_services_stay_down_and_nothing_is_written(without_data: Guest, appliance: Appliance) -> None:
    settled(without_data, "missing")
    assert_system_disk_is_untouched(without_data, appliance)
