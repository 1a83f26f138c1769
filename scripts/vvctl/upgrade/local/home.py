"""The directory that is a machine: what stands where in it.

machine.json            what the machine is made of
properties.iso          the administrator's settings, as an OVF environment; optional
lock                    which upgrade has the machine
active                  link to the system in charge
disks/*.qcow2           the data disk, and while there is a way back an overlay on it
safety-ID, restored-ID  link to the data disk before upgrade ID, before and after it was put back
systems/ID/             a system: system.qcow2, release.json; `data`, a link, where the data disk is attached;
                        network.json where the addresses are; pid, qmp.sock and console.log of its QEMU
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vvctl.machine.command import Bus, Hardware
from vvctl.upgrade.release import Release

# A name of something that is being made, or deleted; both are done again after a crash.
UNFINISHED = ".part"


@dataclass(frozen=True)
class SystemDirectory:
    """One system of a machine."""

    path: Path

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def disk(self) -> Path:
        return self.path / "system.qcow2"

    @property
    def data(self) -> Path:
        return self.path / "data"

    @property
    def network(self) -> Path:
        return self.path / "network.json"

    @property
    def pid(self) -> Path:
        return self.path / "pid"

    @property
    def console(self) -> Path:
        return self.path / "console.log"

    @property
    def unfinished(self) -> Path:
        return self.path.with_name(self.path.name + UNFINISHED)

    @property
    def release(self) -> Release:
        document = json.loads((self.path / "release.json").read_text(encoding="utf-8"))
        return Release(document["version"], document["format_epoch"])

    @property
    def name(self) -> str:
        return f"{self.release.version} ({self.id})" if (self.path / "release.json").exists() else self.id


@dataclass(frozen=True)
class Home:
    """A machine's directory."""

    path: Path

    @property
    def description(self) -> Path:
        return self.path / "machine.json"

    @property
    def properties(self) -> Path:
        return self.path / "properties.iso"

    @property
    def lock(self) -> Path:
        return self.path / "lock"

    @property
    def active(self) -> Path:
        return self.path / "active"

    @property
    def disks(self) -> Path:
        return self.path / "disks"

    def system(self, system_id: str) -> SystemDirectory:
        return SystemDirectory(self.path / "systems" / system_id)

    def systems(self) -> list[SystemDirectory]:
        """All that are there, whole or in part."""
        return [SystemDirectory(path) for path in sorted((self.path / "systems").iterdir())]

    def in_charge(self) -> SystemDirectory | None:
        """The one that `active` names."""
        return self.system(self.active.readlink().name) if self.active.is_symlink() else None

    def hardware(self) -> Hardware:
        """What a power-on is given."""
        found = self.described()
        firmware: Literal["bios", "efi"] = found["firmware"]
        return Hardware(
            firmware=firmware,
            bus=Bus(found["bus"]),
            network_card=found["network_card"],
            cores=found["cores"],
            memory_mb=found["memory_mb"],
        )

    def described(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.description.read_text(encoding="utf-8"))
        return document


def point(link: Path, target: Path) -> None:
    """Have `link` name `target`, relative to it, whatever it named before; at every instant it names one of both."""
    unfinished = link.with_name(link.name + UNFINISHED)
    unfinished.unlink(missing_ok=True)
    unfinished.symlink_to(os.path.relpath(target, link.parent))
    unfinished.replace(link)
