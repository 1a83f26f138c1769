"""The identity on the data disk: one set of files in force, exchanged as a whole.

FOLDER/current -> a or b      the link says which of both is in force
FOLDER/{a,b}/NAME...          a copy of each file
FOLDER/{a,b}/seal.json        which identity it is, how often it was changed, the SHA-256 of each file
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from . import files

_SEAL, _LINK, _PLACES = "seal.json", "current", ("a", "b")
_PRIVATE = 0o600


class Damaged(Exception):
    """What is on the data disk cannot be used; the text says why."""


@dataclass(frozen=True)
class Mark:
    """`id`: which identity; `generation`: counts its changes, so that of two copies the later one is known."""

    id: str
    generation: int

    def text(self) -> bytes:
        return (json.dumps(vars(self)) + "\n").encode()

    @classmethod
    def parse(cls, content: bytes | None) -> Mark | None:
        """None for no mark, and for one that says nothing."""
        try:
            found = json.loads(content or b"")
            return cls(str(found["id"]), int(found["generation"]))
        except (ValueError, KeyError, TypeError):
            return None


@dataclass(frozen=True)
class Identity:
    """`contents`: by the names of the files."""

    mark: Mark
    contents: Mapping[str, bytes]


class Store:
    """The folder; for root only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self) -> Identity | None:
        """None on a data disk that has none. Raises Damaged, and OSError when it cannot be read."""
        current = self._folder / _LINK
        if not current.is_symlink():
            return None
        content = files.read(current / _SEAL)
        mark = Mark.parse(content)
        if content is None or mark is None:
            raise Damaged(f"{current / _SEAL} is missing or damaged")
        sums = json.loads(content).get("sha256")
        if not isinstance(sums, dict) or not sums:
            raise Damaged(f"{current / _SEAL} is missing or damaged")
        contents = {name: files.read(current / name) for name in sums}
        for name, found in contents.items():
            if found is None or hashlib.sha256(found).hexdigest() != sums[name]:
                raise Damaged(f"{current / name} is missing or damaged")
        return Identity(mark, {name: found for name, found in contents.items() if found is not None})

    def save(self, identity: Identity) -> None:
        """In force, whole and on the disk when this returns; until then what was before is."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        current = self._folder / _LINK
        used = current.readlink().name if current.is_symlink() else ""
        staged = self._folder / next(place for place in _PLACES if place != used)
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir(mode=0o700)
        for name, content in identity.contents.items():
            files.write(staged / name, content, _PRIVATE)
        sums = {name: hashlib.sha256(content).hexdigest() for name, content in identity.contents.items()}
        seal = json.dumps({**vars(identity.mark), "sha256": sums}, indent=2) + "\n"
        files.write(staged / _SEAL, seal.encode(), _PRIVATE)
        files.sync(staged)
        link = self._folder / f"{_LINK}.new"
        link.unlink(missing_ok=True)
        link.symlink_to(staged.name)
        link.replace(current)
        files.sync(self._folder)
        files.sync(self._folder.parent)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One at a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, _PRIVATE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
