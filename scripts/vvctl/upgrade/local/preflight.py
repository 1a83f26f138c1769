"""What would stop the upgrade of a local machine half-way."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

from vvctl.errors import VvctlError
from vvctl.image import ova
from vvctl.machine.emulator import choose
from vvctl.upgrade.local.data import DataDisk
from vvctl.upgrade.local.facts import Facts
from vvctl.upgrade.local.home import Home
from vvctl.upgrade.plan import Finding

# The new system disk as it is unpacked, beside what the OVA has compressed, and room for what the guest writes.
_UNPACKED = 3
_ROOM_BYTES = 1 << 30


def findings(home: Home, facts: Facts) -> list[Finding]:
    """All of it; nothing is changed."""
    found = [*_way_is_free(home, facts), *_image(Path(facts.ova)), *_room(home, Path(facts.ova))]
    described = home.described()
    try:
        choose(Path(described["emulator_cache"]), described["suite"])
    except VvctlError as error:
        found.append(Finding(error.message, error.hint))
    return found


def _way_is_free(home: Home, facts: Facts) -> list[Finding]:
    found = []
    points = sorted(path.name for path in home.path.glob("safety-*"))
    if points:
        found.append(
            Finding(
                f"the last upgrade of {home.path} is not final: {', '.join(points)}",
                "`vvctl upgrade finalize`, or rollback, where that upgrade was made",
            )
        )
    in_charge = home.in_charge()
    attached = [system.id for system in DataDisk(home, "").attached_to()]
    if in_charge is None or in_charge.id != facts.old or attached != [facts.old]:
        found.append(
            Finding(f"{facts.old} is not in charge any more, or lacks the data disk", "begin the upgrade anew")
        )
    return found


def _image(image: Path) -> list[Finding]:
    try:
        ova.verify(image)
    except (VvctlError, OSError, tarfile.TarError) as error:
        return [Finding(f"{image} is damaged: {error}", "fetch or build it anew")]
    return []


def _room(home: Home, image: Path) -> list[Finding]:
    needed = image.stat().st_size * _UNPACKED + _ROOM_BYTES
    free = shutil.disk_usage(home.path).free
    if free < needed:
        return [Finding(f"{home.path} has {free >> 20} MiB of room, {needed >> 20} are needed", "make room there")]
    return []
