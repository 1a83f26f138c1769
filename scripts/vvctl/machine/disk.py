"""Disk images that a machine may write to."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from vvctl.machine.errors import run


class CacheMode(StrEnum):
    """What QEMU does with the guest's flushes."""

    # For disks that outlive the machine.
    DURABLE = "writeback"
    # Ignores flushes: for disks that are thrown away when the host fails anyway.
    THROW_AWAY = "unsafe"


def overlay(base: Path, image: Path) -> Path:
    """A new qcow2 `image` that shows `base` (qcow2) and takes the writes, so that `base` stays as it is."""
    run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(base.resolve()), str(image)],
        package="qemu-utils",
    )
    return image


def copy(source: Path, image: Path, *, source_format: str = "qcow2") -> Path:
    """A new qcow2 `image` with the content of `source`, depending on no other file."""
    run(["qemu-img", "convert", "-f", source_format, "-O", "qcow2", str(source), str(image)], package="qemu-utils")
    return image
