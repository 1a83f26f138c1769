from __future__ import annotations

import struct
from pathlib import Path

import pytest

from vvctl.errors import IntegrityError
from vvctl.image import grub

BOOT = bytes([0xEB, 0x63]) + b"\x11" * 508 + b"\x55\xaa"
TABLE = bytes(range(72))


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk.raw"
    path.write_bytes(bytes(440) + TABLE + bytes(100 * grub.SECTOR))
    return path


def test_keeps_the_partition_table(disk: Path) -> None:
    grub.embed(disk, BOOT, bytes(1024), first_sector=10, sectors=20)
    assert disk.read_bytes()[440:512] == TABLE


def test_first_sector_points_at_the_core_image(disk: Path) -> None:
    core = bytes(500) + struct.pack("<QHH", 1, 0, 0x820) + b"\x77" * 1000
    grub.embed(disk, BOOT, core, first_sector=10, sectors=20)
    written = disk.read_bytes()
    assert struct.unpack_from("<Q", written, 0x5C) == (10,)
    # 1512 bytes are three sectors: the first loads the two behind it, to the segment that GRUB chose.
    assert struct.unpack_from("<QHH", written, 10 * grub.SECTOR + 500) == (11, 2, 0x820)
    assert written[11 * grub.SECTOR :][:1000] == b"\x77" * 1000


def test_refuses_a_core_image_that_does_not_fit(disk: Path) -> None:
    with pytest.raises(IntegrityError, match="needs 21 sectors"):
        grub.embed(disk, BOOT, bytes(21 * grub.SECTOR), first_sector=10, sectors=20)


def test_refuses_a_boot_image_of_another_size(disk: Path) -> None:
    with pytest.raises(IntegrityError, match=r"boot\.img"):
        grub.embed(disk, BOOT[:-1], bytes(512), first_sector=10, sectors=20)


def test_menu_finds_the_system_by_label_and_talks_to_both_consoles() -> None:
    menu = grub.menu("Voice Verify", "vv-system")
    assert "root=LABEL=vv-system " in menu
    assert "console=tty0 console=ttyS0,115200" in menu
