"""Reading disks with the real blkid, on images in files."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from vv_data_disk import disks
from vv_data_disk.disks import Device, ProbeFailed

MIB = 1 << 20


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk"
    with path.open("wb") as file:
        file.truncate(32 * MIB)
    return path


def device(path: Path) -> Device:
    return Device(str(path), "disk", path.stat().st_size)


def write(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\x01")


def test_zeros_are_blank(image: Path) -> None:
    assert disks.probe(str(image)) == {}
    assert disks.ends_are_zero(device(image))


@pytest.mark.parametrize("offset", [0, MIB - 1, 31 * MIB, 32 * MIB - 1])
def test_one_byte_in_the_first_or_last_mebibyte_is_not_blank(image: Path, offset: int) -> None:
    write(image, offset)
    assert not disks.ends_are_zero(device(image))


def test_file_system_is_recognised_with_its_label(image: Path) -> None:
    subprocess.run(["mkfs.ext4", "-q", "-L", "vv-data", str(image)], check=True)
    found = disks.probe(str(image))
    assert (found["TYPE"], found["LABEL"]) == ("ext4", "vv-data")


def test_partition_table_is_recognised(image: Path) -> None:
    subprocess.run(["sfdisk", "-q", str(image)], input="label: gpt\n", text=True, check=True)
    assert disks.probe(str(image))["PTTYPE"] == "gpt"


def test_contradicting_signatures_are_ambivalent(image: Path) -> None:
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    with image.open("r+b") as file:
        # An XFS superblock's magic number, which mkfs.ext4 would have wiped.
        file.write(b"XFSB" + (4096).to_bytes(4, "big") + bytes(92) + b"\xb4\xa4" + (512).to_bytes(2, "big"))
    assert disks.probe(str(image)) != {}


def test_unreadable_disk_is_no_blank_disk(tmp_path: Path) -> None:
    with pytest.raises(ProbeFailed, match="cannot be read"):
        disks.probe(str(tmp_path / "gone"))
    with pytest.raises(ProbeFailed, match="cannot be read"):
        disks.ends_are_zero(Device(str(tmp_path / "gone"), "disk", MIB))


def test_disk_smaller_than_two_mebibytes_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "small"
    path.write_bytes(bytes(MIB // 2))
    assert disks.ends_are_zero(device(path))


def test_listing_is_read_with_partitions_and_mounts() -> None:
    listing = {
        "blockdevices": [
            {
                "path": "/dev/vda", "type": "disk", "size": 10, "ro": False, "mountpoints": [None],
                "children": [
                    {"path": "/dev/vda1", "type": "part", "size": 9, "ro": False, "mountpoints": ["/", "/boot"]},
                ],
            },
            {"path": "/dev/sr0", "type": "rom", "size": 4, "ro": True, "mountpoints": [None]},
        ]
    }  # fmt: skip
    system, drive = disks.parse_lsblk(json.dumps(listing))
    assert system.in_use
    assert system.parts[0].mounts == ("/", "/boot")
    assert disks.is_disk(system)
    assert not disks.is_disk(drive)


@pytest.mark.parametrize("path", ["/dev/fd0", "/dev/zram0", "/dev/nbd3", "/dev/ram1", "/dev/loop7"])
def test_floppies_memory_and_network_are_no_disks(path: str) -> None:
    assert not disks.is_disk(Device(path, "disk", MIB))


def test_drive_without_a_medium_is_no_disk() -> None:
    assert not disks.is_disk(Device("/dev/sdb", "disk", 0))
