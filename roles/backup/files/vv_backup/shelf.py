"""The folder of the backups: which there are, what room there is for another one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

PREFIX, SUFFIX, UNFINISHED = "voice-verify-", ".backup.age", ".part"
# The next one may be larger than the last.
_GROWTH = 1.25


class NoRoom(Exception):
    """There is no room for another backup; the text says how much is missing."""


@dataclass(frozen=True)
class Space:
    """Of a file system, in bytes."""

    total: int
    free: int

    @classmethod
    def of(cls, folder: Path) -> Space:
        found = os.statvfs(folder)
        return cls(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)


class Shelf:
    """`reserve_percent` of its disk always stay free."""

    def __init__(self, folder: Path, *, keep: int, reserve_percent: int) -> None:
        self._folder = folder
        self._keep = keep
        self._reserve_percent = reserve_percent

    def backups(self) -> Sequence[Path]:
        """From the oldest to the newest: their names hold the time."""
        return sorted(self._folder.glob(f"{PREFIX}*{SUFFIX}"))

    def unfinished(self, now: datetime) -> Path:
        """Where the next one is written; what an earlier attempt left goes."""
        for path in self._folder.glob(f"*{UNFINISHED}"):
            path.unlink()
        return self._folder / f"{PREFIX}{now.astimezone(UTC):%Y%m%dT%H%M%SZ}{SUFFIX}{UNFINISHED}"

    def make_room(self) -> int:
        """Bytes that the next one may have; the oldest ones go for it, if that is enough, the newest one never.

        Raises NoRoom.
        """
        older, newest = self.backups()[:-1], self.backups()[-1:]
        wanted = int(_size(newest) * _GROWTH) or 1
        room = self._room()
        if room + _size(older) < wanted:
            raise NoRoom(
                f"the data disk has no room for a backup of about {wanted / 1e6:.0f} MB: {self._reserve_percent} % "
                f"of it stay free for calls, and {max(room, 0) / 1e6:.0f} MB are left beyond that"
            )
        for path in older:
            if self._room() >= wanted:
                break
            path.unlink()
        return self._room()

    def finish(self, unfinished: Path) -> Path:
        """Give it its name, and drop the oldest beyond those that are kept."""
        path = unfinished.with_name(unfinished.name.removesuffix(UNFINISHED))
        unfinished.rename(path)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        for old in self.backups()[: -self._keep]:
            old.unlink()
        return path

    def _room(self) -> int:
        space = Space.of(self._folder)
        return space.free - space.total * self._reserve_percent // 100


def _size(paths: Sequence[Path]) -> int:
    return sum(path.stat().st_size for path in paths)
