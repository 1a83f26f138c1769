"""What was found of a local machine and the image for it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vvctl.errors import VvctlError
from vvctl.upgrade import ova
from vvctl.upgrade.local.data import DataDisk
from vvctl.upgrade.local.home import Home, SystemDirectory


class NoMachine(VvctlError):
    """The directory holds no machine that could be upgraded."""

    code = "no_machine"


@dataclass(frozen=True)
class Facts:
    """`machine` and `data_disk` are for a person, `old` is the id of the system that is in charge."""

    machine: str
    data_disk: str
    directory: str
    old: str
    ova: str
    version: str
    format_epoch: int


def discover(directory: Path, image: Path) -> dict[str, Any]:
    """Raises NoMachine, and IntegrityError when the image is no OVA of the appliance."""
    home, old = in_charge(directory)
    disk = DataDisk(home, "").image()
    if disk is None:
        raise NoMachine(f"{directory} has no data disk, or one that is not whole", hint=f"see {home.disks}")
    release = ova.release(image)
    facts = Facts(
        machine=str(home.path),
        data_disk=str(disk),
        directory=str(home.path),
        old=old.id,
        ova=str(image.resolve()),
        version=release.version,
        format_epoch=release.format_epoch,
    )
    return asdict(facts)


def in_charge(directory: Path) -> tuple[Home, SystemDirectory]:
    """The machine in a directory, and its system in charge. Raises NoMachine."""
    home = Home(directory.resolve())
    if not home.description.exists():
        raise NoMachine(f"{directory} holds no machine", hint="`vvctl local create` makes one")
    system = home.in_charge()
    if system is None or not system.path.exists():
        raise NoMachine(f"{directory} has no system in charge", hint=f"see {home.active}")
    return home, system
