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


def test_refuses_what_is_no_vmdk(raw: Path) -> None:
    with pytest.raises(IntegrityError, match="no VMDK"):
        vmdk.set_content_id(raw, 1)


def test_content_identity_is_never_a_reserved_one() -> None:
    assert vmdk.content_id("ffffffff00000000fffffffe12345678") == 0x12345678
