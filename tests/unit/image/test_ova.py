from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from vvctl.appliance import Appliance
from vvctl.errors import IntegrityError
from vvctl.image import ova, ovf

EPOCH = 1750000000


@pytest.fixture
def disks(tmp_path: Path) -> list[Path]:
    files = [tmp_path / "a-system.vmdk", tmp_path / "a-data.vmdk"]
    for file in files:
        file.write_bytes(file.name.encode() * 100)
    return files


@pytest.fixture
def packed(appliance: Appliance, disks: list[Path], tmp_path: Path) -> Path:
    document = ovf.descriptor(
        appliance,
        [ovf.Disk(file.name, file.stat().st_size, 1 << 30, 1 << 20) for file in disks],
        full_version="1",
        eula="Agree.",
    )
    target = tmp_path / "a.ova"
    ova.write(target, document, disks, EPOCH)
    return target


def repack(source: Path, target: Path, order: list[int], change: bytes = b"") -> None:
    with tarfile.open(source) as old, tarfile.open(target, "w", format=tarfile.USTAR_FORMAT) as new:
        members = old.getmembers()
        for number in order:
            member = members[number]
            content = old.extractfile(member)
            assert content is not None
            data = content.read()
            if change and member.name.endswith("data.vmdk"):
                data = change + data[len(change) :]
            new.addfile(member, io.BytesIO(data))


def test_reads_back_in_the_order_that_importers_need(packed: Path) -> None:
    assert ova.verify(packed) == ["a.ovf", "a.mf", "a-system.vmdk", "a-data.vmdk"]


def test_same_input_gives_the_same_bytes(packed: Path, disks: list[Path], tmp_path: Path) -> None:
    again = tmp_path / "again" / "a.ova"
    again.parent.mkdir()
    with tarfile.open(packed) as archive:
        document = archive.extractfile("a.ovf")
        assert document is not None
        ova.write(again, document.read(), disks, EPOCH)
    assert again.read_bytes() == packed.read_bytes()


def test_notices_a_changed_disk(packed: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed.ova"
    repack(packed, changed, [0, 1, 2, 3], change=b"X")
    with pytest.raises(IntegrityError, match=r"wrong about a-data\.vmdk"):
        ova.verify(changed)


def test_refuses_a_missing_disk(packed: Path, tmp_path: Path) -> None:
    short = tmp_path / "short.ova"
    repack(packed, short, [0, 1, 2])
    with pytest.raises(IntegrityError, match=r"wrong about a-data\.vmdk"):
        ova.verify(short)


def test_refuses_a_descriptor_that_does_not_come_first(packed: Path, tmp_path: Path) -> None:
    mixed = tmp_path / "mixed.ova"
    repack(packed, mixed, [2, 0, 1, 3])
    with pytest.raises(IntegrityError, match="instead of descriptor"):
        ova.verify(mixed)
