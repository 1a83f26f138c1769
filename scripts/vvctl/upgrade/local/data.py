"""The data disk of a machine: where it is attached, and the point in time to which it can be put back.

That point is the disk itself: what is written after it goes to an overlay. So going back is to use the disk again, and
giving the point up is to bring into the overlay what it still has from the disk.
"""

from __future__ import annotations

import json
import struct
import time
from dataclasses import dataclass
from pathlib import Path

from vvctl.errors import CommandFailed
from vvctl.image.run import run
from vvctl.upgrade.errors import ProviderError
from vvctl.upgrade.local import power
from vvctl.upgrade.local.home import UNFINISHED, Home, SystemDirectory, point

# Start of a qcow2 file (docs/interop/qcow2.txt of QEMU): magic, version, offset and length of the backing file's name.
_HEADER = struct.Struct(">4sIQI")
# `qemu-img check`: clusters that nobody uses, which harms nothing.
_LEAKED = "status 3"
_POLL_S = 0.2


@dataclass(frozen=True)
class DataDisk:
    """That of `home`, as upgrade `upgrade_id` works on it."""

    home: Home
    upgrade_id: str

    @property
    def overlay(self) -> Path:
        return self.home.disks / f"data-{self.upgrade_id}.qcow2"

    @property
    def _point(self) -> Path:
        return self.home.path / f"safety-{self.upgrade_id}"

    @property
    def _restored(self) -> Path:
        return self.home.path / f"restored-{self.upgrade_id}"

    def attached_to(self) -> list[SystemDirectory]:
        """The systems that have it, which should be one."""
        return [system for system in self.home.systems() if system.data.is_symlink()]

    def image(self) -> Path | None:
        """The file that the system writes to; None when it is gone, or what it rests on is."""
        attached = self.attached_to()
        if not attached:
            return None
        image = attached[0].data.resolve()
        whole = image.exists() and (backing(image) is None or (image.parent / str(backing(image))).exists())
        return image if whole else None

    def safety(self) -> str | None:
        """The point in time, when it is one: the disk as it was, and nobody writes to it."""
        return self._point.name if self._point.is_symlink() and self.image() == self.overlay else None

    def attach(self, system: SystemDirectory) -> None:
        """Take it from whichever system has it; at every instant one has it. Raises ProviderError."""
        if system.data.is_symlink():
            return
        attached = self.attached_to()
        if len(attached) != 1:
            raise ProviderError(f"{len(attached)} systems have the data disk")
        attached[0].data.rename(system.data)

    def take_safety(self) -> None:
        """Raises ProviderError, also when the disk is damaged."""
        system, image = self._alone()
        if image == self.overlay:
            return
        _check(image)
        unfinished = self.overlay.with_name(self.overlay.name + UNFINISHED)
        unfinished.unlink(missing_ok=True)
        _qemu_img("create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", image.name, unfinished)
        unfinished.replace(self.overlay)
        point(self._point, image)
        point(system.data, self.overlay)

    def restore(self) -> None:
        """Raises ProviderError when there is no point to return to."""
        if self._restored.is_symlink():
            return
        system, _ = self._alone()
        if not self._point.is_symlink() or not self._point.exists():
            raise ProviderError("there is no point in time to which the data disk could be put back")
        point(system.data, self._point.resolve())
        self.overlay.unlink(missing_ok=True)
        self._point.rename(self._restored)

    def drop_safety(self) -> None:
        """Keep what the disk holds now."""
        if self._point.is_symlink():
            before = self._point.resolve()
            if self.image() == self.overlay:
                system = self.attached_to()[0]
                if power.process(system) is None and not _written(self.overlay):
                    point(system.data, before)
                else:
                    self._bring_in(system)
                    before.unlink(missing_ok=True)
            self._point.unlink()
        if self.image() != self.overlay:
            self.overlay.unlink(missing_ok=True)
        self.overlay.with_name(self.overlay.name + UNFINISHED).unlink(missing_ok=True)
        self._restored.unlink(missing_ok=True)

    def _bring_in(self, system: SystemDirectory) -> None:
        """Have the overlay rest on nothing any more, whether the system runs or not."""
        if backing(self.overlay) is None:
            return
        if power.process(system) is None:
            _qemu_img("rebase", "-q", "-f", "qcow2", "-b", "", self.overlay)
            return
        with power.control(system) as qmp:
            if not qmp.execute("query-block-jobs"):
                qmp.execute("block-stream", **{"device": "disk1", "job-id": "bring-in"})
            while qmp.execute("query-block-jobs"):
                time.sleep(_POLL_S)
        if backing(self.overlay) is not None:
            raise ProviderError("QEMU did not bring the data disk together", transient=True)

    def _alone(self) -> tuple[SystemDirectory, Path]:
        """Who has it, and its file, while nobody writes to it."""
        attached, image = self.attached_to(), self.image()
        if len(attached) != 1 or image is None:
            raise ProviderError("the data disk is not attached, or gone")
        if power.process(attached[0]) is not None:
            raise ProviderError(f"{attached[0].name} runs")
        return attached[0], image


def backing(image: Path) -> str | None:
    """Name of the file on which a qcow2 image rests."""
    with image.open("rb") as file:
        _, _, offset, length = _HEADER.unpack(file.read(_HEADER.size))
        file.seek(offset)
        return file.read(length).decode() if offset else None


def _check(image: Path) -> None:
    try:
        run(["qemu-img", "check", "-q", "-f", "qcow2", image])
    except CommandFailed as error:
        if _LEAKED not in error.message:
            raise ProviderError(f"the data disk is damaged: {error.message}", hint="restore a backup") from error


def _written(overlay: Path) -> bool:
    """Whether anything is in it that is not in what it rests on."""
    extents = json.loads(_qemu_img("map", "--output=json", overlay))
    return any(extent["depth"] == 0 and extent["present"] for extent in extents)


def _qemu_img(*words: str | Path) -> str:
    try:
        return run(["qemu-img", *words])
    except CommandFailed as error:
        raise ProviderError(error.message) from error
