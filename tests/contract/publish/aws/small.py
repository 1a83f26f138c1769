"""A release of two small disks, made like a real one, and what of it must stand in AWS."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path

from tests.doubles.aws.state import Account, Snapshot
from vvctl.appliance import Appliance
from vvctl.image import sparse
from vvctl.image.package import CHECKSUMS, Names

BLOCK = 512 << 10
# Which blocks hold something; the system disk ends in the middle of its last one.
CONTENT = {"system": (0, 3, 4, 40), "data": (0, 33)}
SIZES = {"system": 40 * BLOCK + 12345, "data": 2200 << 20}
VOLUME_GIB = {"system": 1, "data": 3}


def write(folder: Path, appliance: Appliance, seed: int = 1) -> dict[str, Path]:
    """Write dist/ into `folder`; returns the raw disks, which stand beside it."""
    names = Names.of(appliance)
    folder.mkdir(parents=True)
    source = random.Random(seed)  # noqa: S311
    raw = {}
    for disk, blocks in CONTENT.items():
        raw[disk] = folder.parent / f"{folder.name}-{disk}.raw"
        with raw[disk].open("wb") as file:
            for block in blocks:
                file.seek(block * BLOCK)
                # Random bytes do not compress, and a byte of every block may be what is left of it.
                file.write(source.randbytes(min(BLOCK, SIZES[disk] - block * BLOCK)))
            file.truncate(SIZES[disk])
        sparse.compress(raw[disk], folder / names.raw(disk))
    facts = {"build_id": f"{appliance.product.version}+{seed:012x}", "git_commit": "0" * 40, "git_dirty": False}
    (folder / names.build_manifest).write_text(json.dumps(facts))
    files = [folder / names.raw(disk) for disk in raw]
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]
    (folder / CHECKSUMS).write_text("".join(lines))
    return raw


def assert_same_bytes(snapshot: Snapshot, raw: Path) -> None:
    """`snapshot` holds exactly `raw`, and no block of zeros was sent."""
    disk = raw.stem.rpartition("-")[2]
    assert tuple(sorted(snapshot.digests)) == CONTENT[disk]
    with raw.open("rb") as file:
        for index in CONTENT[disk]:
            file.seek(index * BLOCK)
            assert snapshot.read(index) == file.read(BLOCK).ljust(BLOCK, b"\0"), f"block {index} differs"
    assert snapshot.size_gib == VOLUME_GIB[disk]


def assert_published(account: Account, region: str, appliance: Appliance, raw: dict[str, Path]) -> None:
    """Exactly one image stands in `region`, made of exactly two complete snapshots with the disks' bytes."""
    place = account.region(region)
    assert len(place.images) == 1, place.images
    (image,) = place.images.values()
    devices = {"system": appliance.aws.root_device, "data": appliance.aws.data_device}
    assert set(image.devices) == set(devices.values())
    assert place.snapshots.keys() == image.snapshot_ids, "a snapshot was left over"
    for disk, device in devices.items():
        snapshot = place.snapshots[image.devices[device]["SnapshotId"]]
        assert snapshot.state == "completed"
        assert_same_bytes(snapshot, raw[disk])
    assert image.devices[devices["data"]]["DeleteOnTermination"] is False
    assert image.devices[devices["system"]]["DeleteOnTermination"] is True
