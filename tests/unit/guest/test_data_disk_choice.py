"""Which disk is taken, formatted or left alone."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from vv_data_disk.choice import FOREIGN, FORMAT, MISSING, READY, REFUSED, Choice, choose
from vv_data_disk.disks import Device

GIB = 1 << 30
SYSTEM = Device(
    "/dev/sda",
    "disk",
    10 * GIB,
    parts=(Device("/dev/sda1", "part", 9 * GIB, mounts=("/",), found={"TYPE": "ext4", "LABEL": "vv-system"}),),
    found={"PTTYPE": "gpt"},
)
OURS = {"TYPE": "ext4", "LABEL": "vv-data"}


def disk(path: str = "/dev/sdb", size: int = 40 * GIB, **found: str) -> Device:
    return Device(path, "disk", size, found=found)


def chosen(*disks: Device, blank: bool = True) -> Choice:
    return choose(disks, label="vv-data", minimum_bytes=GIB, is_blank=lambda _: blank)


def test_takes_the_labelled_disk_whatever_its_name() -> None:
    for path in ("/dev/sda", "/dev/vdb", "/dev/nvme1n1"):
        choice = chosen(SYSTEM, disk(path, **OURS))
        assert choice.state == READY
        assert choice.device is not None
        assert choice.device.path == path


def test_takes_a_labelled_partition() -> None:
    part = Device("/dev/sdb1", "part", GIB, found=OURS)
    choice = chosen(SYSTEM, Device("/dev/sdb", "disk", 2 * GIB, parts=(part,), found={"PTTYPE": "gpt"}))
    assert choice.device == part


def test_labelled_disk_is_taken_beside_a_foreign_or_blank_one() -> None:
    assert chosen(SYSTEM, disk(**OURS), disk("/dev/sdc", TYPE="ntfs"), disk("/dev/sdd")).state == READY


def test_refuses_two_data_disks_and_names_both() -> None:
    choice = chosen(SYSTEM, disk("/dev/sdb", **OURS), disk("/dev/sdc", **OURS))
    assert choice.state == REFUSED
    assert choice.device is None
    assert "/dev/sdb" in choice.message
    assert "/dev/sdc" in choice.message


def test_formats_the_only_blank_disk() -> None:
    choice = chosen(SYSTEM, disk())
    assert choice.state == FORMAT
    assert choice.device == disk()


def test_without_a_spare_disk_none_is_there() -> None:
    assert chosen(SYSTEM).state == MISSING
    assert chosen(SYSTEM).advice


@pytest.mark.parametrize(
    "found",
    [
        {"TYPE": "ntfs", "LABEL": "Backup"},
        {"TYPE": "ext4"},
        {"TYPE": "LVM2_member"},
        {"TYPE": "crypto_LUKS"},
        {"PTTYPE": "dos"},
        {"TYPE": "ambivalent"},
        {"TYPE": "xfs", "LABEL": "vv-data"},
    ],
)
def test_leaves_a_foreign_disk_alone_and_says_what_it_is(found: dict[str, str]) -> None:
    choice = chosen(SYSTEM, disk(**found))
    assert choice.state == FOREIGN
    assert choice.device is None
    assert "/dev/sdb" in choice.message
    assert any(value in choice.message for value in found.values()) or "contradicting" in choice.message
    assert "nothing was changed" in choice.advice


def test_disk_with_data_but_no_signature_is_foreign() -> None:
    choice = chosen(SYSTEM, disk(), blank=False)
    assert choice.state == FOREIGN
    assert "unknown content" in choice.message


def test_disk_with_partitions_but_no_table_that_is_known_is_foreign() -> None:
    part = Device("/dev/sdb1", "part", GIB)
    assert chosen(SYSTEM, Device("/dev/sdb", "disk", 2 * GIB, parts=(part,))).state == FOREIGN


def test_read_only_disk_is_never_formatted() -> None:
    assert chosen(SYSTEM, Device("/dev/sdb", "disk", 40 * GIB, read_only=True)).state == FOREIGN


def test_refuses_two_blank_disks_and_names_both() -> None:
    choice = chosen(SYSTEM, disk("/dev/sdb"), disk("/dev/sdc"))
    assert choice.state == REFUSED
    assert "/dev/sdb" in choice.message
    assert "/dev/sdc" in choice.message


def test_blank_disk_beside_a_foreign_one_is_not_formatted() -> None:
    choice = chosen(SYSTEM, disk("/dev/sdb"), disk("/dev/sdc", TYPE="vfat"))
    assert choice.state == FOREIGN
    assert "/dev/sdc" in choice.message


def test_tiny_blank_disk_is_no_data_disk() -> None:
    assert chosen(SYSTEM, disk(size=64 << 20)).state == REFUSED


def test_configuration_disc_on_a_disk_bus_is_overlooked() -> None:
    assert chosen(SYSTEM, disk("/dev/vdb", TYPE="iso9660", LABEL="OVF ENV")).state == MISSING
    assert chosen(SYSTEM, disk("/dev/vdb", TYPE="iso9660"), disk("/dev/vdc")).state == FORMAT


def test_disk_in_use_is_never_a_candidate() -> None:
    swap = Device("/dev/sdb", "disk", GIB, mounts=("[SWAP]",), found={"TYPE": "swap"})
    assert chosen(SYSTEM, swap).state == MISSING


def test_blankness_is_not_asked_of_a_disk_with_a_signature() -> None:
    asked: list[str] = []

    def is_blank(device: Device) -> bool:
        asked.append(device.path)
        return True

    disks: Sequence[Device] = (SYSTEM, disk("/dev/sdb", TYPE="ntfs"))
    choose(disks, label="vv-data", minimum_bytes=GIB, is_blank=is_blank)
    assert asked == []
