"""What disks the machine has and what is on them, as lsblk and blkid tell it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field

MIB = 1 << 20
# Memory, floppies, network and loop devices never hold customers' data.
_NO_DISKS = ("fd", "loop", "nbd", "ram", "zram")


@dataclass(frozen=True)
class Device:
    """A disk, or a part of one such as a partition."""

    path: str
    kind: str
    size: int
    read_only: bool = False
    mounts: tuple[str, ...] = ()
    parts: tuple[Device, ...] = ()
    #: blkid's low-level findings: TYPE, LABEL, PTTYPE, USAGE …; empty when it knows nothing on the device
    found: dict[str, str] = field(default_factory=dict)

    def walk(self) -> Iterator[Device]:
        """The device and everything below it."""
        yield self
        for part in self.parts:
            yield from part.walk()

    @property
    def in_use(self) -> bool:
        """Whether any of it is mounted or is swap: it is the system's."""
        return any(device.mounts for device in self.walk())

    @property
    def gib(self) -> str:
        return f"{self.size / 2**30:.1f} GiB"


class ProbeFailed(Exception):
    """A disk cannot be read, so nothing may be concluded about it."""


def parse_lsblk(text: str) -> list[Device]:
    """Devices from the output of `lsblk --json --tree --bytes`."""

    def device(entry: dict[str, object]) -> Device:
        mounts = entry.get("mountpoints")
        children = entry.get("children")
        return Device(
            path=str(entry["path"]),
            kind=str(entry["type"]),
            size=int(str(entry["size"])),
            read_only=bool(entry["ro"]),
            mounts=tuple(str(mount) for mount in mounts if mount) if isinstance(mounts, list) else (),
            parts=tuple(device(child) for child in children) if isinstance(children, list) else (),
        )

    return [device(entry) for entry in json.loads(text)["blockdevices"]]


def parse_blkid(text: str) -> dict[str, str]:
    """Findings from the output of `blkid -p -o export`."""
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def probe(path: str) -> dict[str, str]:
    """What blkid reads on the device itself (not from a cache); empty when it finds nothing.

    Raises ProbeFailed when the device cannot be read. Signatures that contradict each other give TYPE=ambivalent.
    """
    done = subprocess.run(["blkid", "-p", "-o", "export", path], capture_output=True, text=True, check=False)
    # blkid(8): 2 is "nothing found" and also "cannot be opened", 8 is "ambivalent".
    if done.returncode == 8:
        return {"TYPE": "ambivalent"}
    if done.returncode == 0:
        return parse_blkid(done.stdout)
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise ProbeFailed(f"{path} cannot be read: {error.strerror}") from error
    os.close(descriptor)
    return {}


def scan() -> list[Device]:
    """Every disk of the machine with what is on it.

    Raises ProbeFailed when one cannot be read, or when none of them is the system's: the list cannot be trusted then.
    """
    # A list without NAME is flat: the system disk would look like one that nobody uses.
    columns = "NAME,PATH,TYPE,SIZE,RO,MOUNTPOINTS"
    done = subprocess.run(
        ["lsblk", "--json", "--tree", "--bytes", "--output", columns], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ProbeFailed(f"lsblk failed: {done.stderr.strip()}")

    def probed(device: Device) -> Device:
        return Device(
            device.path,
            device.kind,
            device.size,
            device.read_only,
            device.mounts,
            tuple(probed(part) for part in device.parts),
            probe(device.path),
        )

    disks = [device for device in parse_lsblk(done.stdout) if is_disk(device)]
    if not any(disk.in_use for disk in disks):
        raise ProbeFailed("cannot tell which disk the system runs from")
    return [probed(disk) for disk in disks]


def is_disk(device: Device) -> bool:
    """Whether it is a disk with a medium, rather than a drive, floppy or memory."""
    return device.kind == "disk" and device.size > 0 and not device.path.removeprefix("/dev/").startswith(_NO_DISKS)


def ends_are_zero(device: Device) -> bool:
    """Whether the first and the last MiB hold zeros only.

    Raises ProbeFailed when they cannot be read.
    """
    try:
        with open(device.path, "rb", buffering=0) as disk:  # noqa: PTH123 (pathlib costs a third of a second in an emulated guest)
            for offset in (0, max(0, device.size - MIB)):
                disk.seek(offset)
                if any(disk.read(MIB)):
                    return False
    except OSError as error:
        raise ProbeFailed(f"{device.path} cannot be read: {error.strerror}") from error
    return True
