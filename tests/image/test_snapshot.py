"""A hypervisor's snapshot of both disks, taken while the machine ran, is restored on other hardware."""

from __future__ import annotations

from . import voices
from .guest import Guest, Measured


def test_restored_machine_is_as_it_was(restored: Guest, measured: Measured) -> None:
    measured["restored_ready_s"] = round(restored.wait_ready())
    assert restored.speakers() == sorted([voices.TARGET, voices.IMPOSTOR])
    assert restored.verify(voices.TARGET, voices.speech(voices.TARGET, 6))["decision"] == "verified"


def test_disks_and_network_card_are_virtio(restored: Guest) -> None:
    restored.wait_ready()
    drivers = restored.root("readlink -f /sys/block/vd?/device/driver /sys/class/net/en*/device/driver")
    assert sorted(path.rpartition("/")[2] for path in drivers.splitlines()) == [
        "virtio_blk",
        "virtio_blk",
        "virtio_net",
    ]


def test_takes_its_settings_from_the_nocloud_disc(restored: Guest) -> None:
    restored.wait_ready()
    state = restored.state()
    assert (state["setup"]["source"], state["setup"]["problems"]) == ("NoCloud /dev/sr0", [])
    assert (state["hostname"], state["addresses"]) == (restored.name, [restored.address])


def test_restored_machine_keeps_its_identity(
    first: Guest, restored: Guest, identities: dict[str, dict[str, str]]
) -> None:
    restored.wait_ready()
    now, before = restored.identity(), identities[first.name]
    kept = {"machine-id", "SSH host key", "SSH host key (ECDSA)"}
    assert {key: now[key] for key in kept} == {key: before[key] for key in kept}
