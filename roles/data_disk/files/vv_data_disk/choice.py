"""Which disk is the data disk: a decision without side effects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .disks import Device

#: States that the console and the tests know.
READY, FORMAT, MISSING, REFUSED, FOREIGN, NEWER, FAILED = (
    "ready",
    "format",
    "missing",
    "refused",
    "foreign",
    "newer",
    "failed",
)


@dataclass(frozen=True)
class Choice:
    """What to do: `state` ready (use it), format (blank, make it ours), or why there is no data disk."""

    state: str
    message: str
    advice: str = ""
    device: Device | None = None


def choose(disks: Sequence[Device], *, label: str, minimum_bytes: int, is_blank: Callable[[Device], bool]) -> Choice:
    """Decide from the disks that are there; `is_blank` is asked only about a disk that might be formatted."""
    labelled = [device for disk in disks for device in disk.walk() if device.found.get("LABEL") == label]
    if len(labelled) > 1:
        names = " and ".join(f"{device.path} ({device.gib})" for device in labelled)
        return Choice(
            REFUSED,
            f"{len(labelled)} disks are labelled {label}: {names}",
            "detach the one that does not belong to this machine, then restart; neither was touched",
        )
    if labelled:
        found = labelled[0]
        if found.found.get("TYPE") != "ext4":
            return _foreign([found])
        return Choice(READY, f"{found.path} ({found.gib})", device=found)
    spare = [disk for disk in disks if not disk.in_use and not _is_medium(disk)]
    if not spare:
        return Choice(
            MISSING,
            f"no data disk: no disk labelled {label} and no blank disk is attached",
            "attach the data disk of this machine, or a blank one for a new machine, then restart",
        )
    return _blank_one(spare, minimum_bytes, is_blank)


def _blank_one(spare: Sequence[Device], minimum_bytes: int, is_blank: Callable[[Device], bool]) -> Choice:
    """The only spare disk if it is blank; whatever else is there makes it a person's decision."""
    blank = [disk for disk in spare if _looks_blank(disk) and is_blank(disk)]
    others = [disk for disk in spare if disk not in blank]
    if others:
        return _foreign(others)
    if len(blank) > 1:
        names = " and ".join(f"{disk.path} ({disk.gib})" for disk in blank)
        return Choice(
            REFUSED, f"{len(blank)} blank disks: {names}", "leave only the one that shall hold the data, then restart"
        )
    disk = blank[0]
    if disk.size < minimum_bytes:
        return Choice(
            REFUSED,
            f"the blank disk {disk.path} has {disk.gib}, too little for data",
            f"attach one with at least {minimum_bytes / 2**30:.0f} GiB, then restart",
        )
    return Choice(FORMAT, f"{disk.path} ({disk.gib}) is blank", device=disk)


def _is_medium(disk: Device) -> bool:
    """Whether the disk is a CD image, as configuration is handed in."""
    return disk.found.get("TYPE") in {"iso9660", "udf"}


def _looks_blank(disk: Device) -> bool:
    return not disk.found and not disk.parts and not disk.read_only


def _foreign(devices: Sequence[Device]) -> Choice:
    what = "; ".join(f"{device.path} ({device.gib}): {_describe(device)}" for device in devices)
    first = devices[0].path
    return Choice(
        FOREIGN,
        f"a disk is attached that is not ours and not blank: {what}",
        "nothing was changed on it; attach the right disk, or erase this one yourself"
        f" (wipefs --all {first}), then restart",
    )


def _describe(device: Device) -> str:
    """What a person would recognise the disk by."""
    found = device.found
    named = f" labelled {found['LABEL']}" if "LABEL" in found else ""
    if found.get("TYPE") == "ambivalent":
        return "contradicting signatures"
    if "TYPE" in found:
        return f"{found['TYPE']} file system{named}"
    if "PTTYPE" in found or device.parts:
        parts = f" with {len(device.parts)} partition(s)" if device.parts else ""
        return f"{found.get('PTTYPE', 'unknown')} partition table{parts}"
    if device.read_only:
        return "read-only"
    return "unknown content"
