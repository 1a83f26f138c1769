"""Private key, signing request and certificate on the data disk, changed all together or not at all.

    FOLDER/current -> a or b      the link says which of both is in force
    FOLDER/{a,b}/private-key.pem, request.pem, certificate.pem, property.sha256

The one that is not in force is what was before, until the next change.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .refused import Refused

KEY, REQUEST, CERTIFICATE, PROPERTY = "private-key.pem", "request.pem", "certificate.pem", "property.sha256"
_LINK = "current"
_PLACES = ("a", "b")


class Store:
    """The folder; for root only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def current(self) -> Path:
        """Where the files in force are. The path stays, whatever changes."""
        return self._folder / _LINK

    def read(self, name: str) -> str:
        """One of the files in force; empty when there is none."""
        path = self.current / name
        return path.read_text(encoding="ascii") if path.exists() else ""

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps others from changing anything; makes the folder when it is not there.

        Raises Refused when it cannot be made: then the data disk is not mounted.
        """
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise Refused(
                f"{self._folder} cannot be made: {error.strerror}", hint="attach the data disk; vv-status tells more"
            ) from None
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def change(self) -> Iterator[Path]:
        """A copy of the files in force, to be changed; it comes into force when the block ends without an error."""
        used = self.current.readlink().name if self.current.is_symlink() else ""
        staged = self._folder / next(place for place in _PLACES if place != used)
        shutil.rmtree(staged, ignore_errors=True)
        if used:
            shutil.copytree(self.current, staged)
        else:
            staged.mkdir(mode=0o700)
        try:
            yield staged
            for path in (*staged.iterdir(), staged):
                _sync(path)
        except BaseException:
            shutil.rmtree(staged)
            raise
        link = self._folder / f"{_LINK}.new"
        link.unlink(missing_ok=True)
        link.symlink_to(staged.name)
        link.replace(self.current)
        _sync(self._folder)


def write(folder: Path, name: str, text: str) -> None:
    """Write a file of a changed copy, for root only."""
    path = folder / name
    path.touch(mode=0o600)
    path.write_text(text, encoding="ascii")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
