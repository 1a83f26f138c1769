"""Somebody else's disk is left alone, byte for byte."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from vvctl.appliance import Appliance

from .guest import SETTLE_LIMIT_S, Guest
from .test_no_data_disk import assert_system_disk_is_untouched, settled

DISK_BYTES = 1 << 30


def test_console_says_what_was_found(with_foreign_data: Guest) -> None:
    console = settled(with_foreign_data, "foreign")
    assert "xfs file system labelled accounting" in console
    assert "nothing was changed on it" in console


def test_services_stay_down_and_nothing_is_written(with_foreign_data: Guest, appliance: Appliance) -> None:
    settled(with_foreign_data, "foreign")
    assert_system_disk_is_untouched(with_foreign_data, appliance)


def _foreign_ext4(path: Path) -> None:
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-L", "archive", str(path)], check=True)


def _foreign_partitions(path: Path) -> None:
    subprocess.run(["sfdisk", "-q", str(path)], input="label: gpt\nsize=100M\n", text=True, check=True)


def _unknown_content(path: Path) -> None:
    """No signature that any program knows, but not blank either: the last MiB holds something."""
    with path.open("r+b") as file:
        file.seek(DISK_BYTES - 4096)
        file.write(b"somebody's data")


@pytest.mark.parametrize("make", [_foreign_ext4, _foreign_partitions, _unknown_content])
def test_leaves_other_disks_alone_too(with_foreign_data: Guest, work: Path, make: Callable[[Path], None]) -> None:
    """One after another takes the place of the first, and the unit that runs at boot looks at it."""
    guest = with_foreign_data
    settled(guest, "foreign")
    _pull_every_data_disk(guest)
    image = work / f"{make.__name__.strip('_')}.raw"
    with image.open("wb") as file:
        file.truncate(DISK_BYTES)
    make(image)
    before = _digest(image)
    guest.machine.attach_disk(image, make.__name__.strip("_"))
    device = guest.until("the disk", lambda: _data_disks(guest) or None, 15).pop()
    guest.shell.attempt("systemctl restart vv-data-disk", timeout_s=guest.slow(SETTLE_LIMIT_S))
    found = guest.state()["data_disk"]
    assert found["state"] == "foreign"
    assert device in found["message"]
    assert _digest(image) == before


def test_foreign_disk_is_the_same_byte_for_byte(with_foreign_data: Guest, foreign_disk: Path, work: Path) -> None:
    settled(with_foreign_data, "foreign")
    with_foreign_data.shut_down()
    assert _digest(with_foreign_data.disks[1]) == _digest(foreign_disk)


def _data_disks(guest: Guest) -> set[str]:
    """Whole disks beside the one that booted."""
    disks = guest.root("lsblk --nodeps --noheadings --output PATH,TYPE | awk '$2 == \"disk\" {print $1}'").split()
    system = guest.root("findmnt --noheadings --output SOURCE /")
    return {disk for disk in disks if not system.startswith(disk)}


def _pull_every_data_disk(guest: Guest) -> None:
    attached = guest.machine.qmp.execute("query-block")
    for name in (drive["qdev"] for drive in attached if drive.get("qdev", "").endswith("-drive")):
        if name != "disk0-drive":
            guest.machine.detach_disk(name.removesuffix("-drive"))
    guest.until("the disks to be gone", lambda: True if not _data_disks(guest) else None, 15)


def _digest(image: Path) -> str:
    with image.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
