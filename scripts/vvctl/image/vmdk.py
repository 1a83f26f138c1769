"""Turn raw disks into streamOptimized VMDKs, the form in which an OVA carries disks."""

from __future__ import annotations

import re
import struct
from array import array
from pathlib import Path
from typing import IO

from vvctl.errors import IntegrityError
from vvctl.image.run import run

_SECTOR = 512
# SparseExtentHeader of VMware's "Virtual Disk Format 5.0": magic, version, flags, capacity, grain size, descriptor
# offset, descriptor size, entries of a grain table, redundant grain directory, grain directory. Sizes and places in
# sectors.
_HEADER = struct.Struct("<4sIIQQQQIQQ")
_MAGIC = b"KDMV"
# CID_NOPARENT and what qemu takes for "none": neither may be a disk's own identity.
_RESERVED = {0xFFFFFFFF, 0xFFFFFFFE, 0}


def content_id(seed: str) -> int:
    """The CID for a disk whose content has the SHA-256 `seed` (hex): its first usable 32 bits."""
    for start in range(0, len(seed) - 7, 8):
        value = int(seed[start : start + 8], 16)
        if value not in _RESERVED:
            return value
    raise IntegrityError(f"no content identity can be made from {seed!r}")


def set_content_id(vmdk: Path, cid: int) -> None:
    """Replace the random CID that qemu-img wrote into the embedded descriptor; the file keeps its length.

    Raises IntegrityError when `vmdk` is no sparse VMDK with an embedded descriptor.
    """
    with vmdk.open("r+b") as file:
        *_, offset, size, _, _, _ = _read_header(vmdk, file)
        file.seek(offset * _SECTOR)
        area = file.read(size * _SECTOR)
        text = area.rstrip(b"\0")
        changed, count = re.subn(rb"(?m)^CID=[0-9a-f]+$", b"CID=%08x" % cid, text)
        if count != 1 or len(changed) > len(area):
            raise IntegrityError(f"the descriptor of {vmdk.name} has {count} CIDs instead of one")
        file.seek(offset * _SECTOR)
        file.write(changed.ljust(len(area), b"\0"))


def _read_header(vmdk: Path, file: IO[bytes]) -> tuple[int, ...]:
    """The numbers of the header after the magic; raises IntegrityError when there is no embedded descriptor."""
    start = file.read(_HEADER.size)
    if len(start) == _HEADER.size:
        magic, *numbers = _HEADER.unpack(start)
        if magic == _MAGIC and numbers[4]:
            return tuple(numbers)
    raise IntegrityError(f"{vmdk.name} is no VMDK with an embedded descriptor")


def populated_size(vmdk: Path) -> int:
    """How much of the disk holds data, in bytes: what it takes on a thin datastore. Whole grains are counted.

    Raises IntegrityError when `vmdk` is no sparse VMDK with its grain directory in front, as qemu-img writes it.
    """
    with vmdk.open("rb") as file:
        _, _, capacity, grain, _, _, entries, _, directory = _read_header(vmdk, file)
        if directory * _SECTOR >= vmdk.stat().st_size:
            raise IntegrityError(f"the grain directory of {vmdk.name} is not in front")
        file.seek(directory * _SECTOR)
        tables = array("I", file.read(4 * -(-capacity // (grain * entries))))
        used = 0
        for table in filter(None, tables):
            file.seek(table * _SECTOR)
            used += sum(map(bool, array("I", file.read(4 * entries))))
    return used * grain * _SECTOR


def convert(raw: Path, vmdk: Path, cid: int) -> None:
    """Write `raw` as a streamOptimized VMDK with identity `cid`; raises CommandFailed."""
    form = "subformat=streamOptimized,adapter_type=lsilogic"
    # One request at a time (-m 1) costs nothing, and what is written cannot hang on which of them was ready first.
    run(["qemu-img", "convert", "-m", "1", "-O", "vmdk", "-o", form, raw, vmdk])
    set_content_id(vmdk, cid)
