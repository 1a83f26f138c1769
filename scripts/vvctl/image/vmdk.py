"""Turn raw disks into streamOptimized VMDKs, the form in which an OVA carries disks."""

from __future__ import annotations

import re
import struct
from pathlib import Path

from vvctl.errors import IntegrityError
from vvctl.image.run import run

_SECTOR = 512
# SparseExtentHeader of VMware's "Virtual Disk Format 5.0": magic, version, flags, capacity, grain size,
# descriptor offset, descriptor size (the last two in sectors).
_HEADER = struct.Struct("<4sIIQQQQ")
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
        magic, *_, offset, size = _HEADER.unpack(file.read(_HEADER.size))
        if magic != _MAGIC or not offset:
            raise IntegrityError(f"{vmdk.name} is no VMDK with an embedded descriptor")
        file.seek(offset * _SECTOR)
        area = file.read(size * _SECTOR)
        text = area.rstrip(b"\0")
        changed, count = re.subn(rb"(?m)^CID=[0-9a-f]+$", b"CID=%08x" % cid, text)
        if count != 1 or len(changed) > len(area):
            raise IntegrityError(f"the descriptor of {vmdk.name} has {count} CIDs instead of one")
        file.seek(offset * _SECTOR)
        file.write(changed.ljust(len(area), b"\0"))


def convert(raw: Path, vmdk: Path, cid: int) -> None:
    """Write `raw` as a streamOptimized VMDK with identity `cid`; raises CommandFailed."""
    run(["qemu-img", "convert", "-O", "vmdk", "-o", "subformat=streamOptimized,adapter_type=lsilogic", raw, vmdk])
    set_content_id(vmdk, cid)
