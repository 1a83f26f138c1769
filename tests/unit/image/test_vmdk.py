from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from vvctl.errors import IntegrityError
from vvctl.image import vmdk


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    disk = tmp_path / "disk.raw"
    disk.write_bytes(b"content".ljust(1 << 20, b"\0") + bytes(3 << 20))
    return disk


def test_same_disk_gives_the_same_bytes(raw: Path, tmp_path: Path) -> None:
    target = tmp_path / "disk.vmdk"
    written = []
    for _ in range(2):
        vmdk.convert(raw, target, 0x0ABC1234)
        written.append(target.read_bytes())
    assert written[0] == written[1]
    assert b"\nCID=0abc1234\n" in written[0][:65536]


def test_converted_disk_is_sound_and_holds_the_same_content(raw: Path, tmp_path: Path) -> None:
    target = tmp_path / "disk.vmdk"
    vmdk.convert(raw, target, 1)
    subprocess.run(["qemu-img", "check", "-q", target], check=True)
    subprocess.run(["qemu-img", "compare", "-q", "-f", "raw", "-F", "vmdk", raw, target], check=True)


@pytest.mark.parametrize("size_mib", [4, 40 << 10], ids=["one grain table", "many grain tables"])
def test_counts_what_holds_data_in_grains(tmp_path: Path, size_mib: int) -> None:
    disk, target = tmp_path / "disk.raw", tmp_path / "disk.vmdk"
    with disk.open("wb") as content:
        # One grain, then three that touch, the last of them with one byte.
        for start, length in ((0, 10), ((size_mib << 20) - (3 << 16), (2 << 16) + 1)):
            content.seek(start)
            content.write(b"x" * length)
        content.truncate(size_mib << 20)
    vmdk.convert(disk, target, 1)
    assert vmdk.populated_size(target) == 4 << 16


def test_refuses_what_is_no_vmdk(raw: Path, tmp_path: Path) -> None:
    for read in (lambda disk: vmdk.set_content_id(disk, 1), vmdk.populated_size):
        with pytest.raises(IntegrityError, match="no VMDK"):
            read(raw)
    (tmp_path / "short").write_bytes(b"KDMV")
    with pytest.raises(IntegrityError, match="no VMDK"):
        vmdk.populated_size(tmp_path / "short")


def test_content_identity_is_never_a_reserved_one() -> None:
    assert vmdk.content_id("ffffffff00000000fffffffe12345678") == 0x12345678
