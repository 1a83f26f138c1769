"""The identity as a system disk has it: files in their places, and a mark that says that all of it is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import files
from .store import Identity, Mark

_MARK_MODE = 0o600


@dataclass(frozen=True)
class Part:
    """A file of the identity; the fields are described in the role's argument_specs."""

    path: str
    mode: str
    required: bool = False
    installed_as: str = ""
    restart: str = ""

    @property
    def name(self) -> str:
        return Path(self.path).name


class System:
    """`root`: where its file system is."""

    def __init__(self, parts: Sequence[Part], mark_file: str, root: Path = Path("/")) -> None:
        self._parts = parts
        self._root = root
        self._mark_file = self._at(mark_file)

    @property
    def mark(self) -> Mark | None:
        """Which identity it has; None for a new system disk."""
        return Mark.parse(files.read(self._mark_file))

    def set_mark(self, mark: Mark | None) -> None:
        files.write(self._mark_file, None if mark is None else mark.text(), _MARK_MODE)

    def contents(self) -> dict[str, bytes] | None:
        """What makes it what it is; None as long as a required file is missing."""
        found: dict[str, bytes] = {}
        for part in self._parts:
            content = files.read(self._at(part.path))
            if content is None and part.installed_as:
                # Not replaced by anything of its own yet, so it still holds.
                content = files.read(self._at(part.installed_as))
            if content:
                found[part.name] = content
            elif part.required:
                return None
        return found

    def install(self, identity: Identity) -> list[str]:
        """Become that one; the units that must read a file anew.

        The mark comes last: whatever is interrupted before begins anew.
        """
        restart = []
        for part in self._parts:
            content = identity.contents.get(part.name)
            if content is None and (part.required or part.installed_as):
                continue
            if files.write(self._at(part.installed_as or part.path), content, int(part.mode, 8)) and part.restart:
                restart.append(part.restart)
        self.set_mark(identity.mark)
        return restart

    def _at(self, path: str) -> Path:
        return self._root / path.lstrip("/")
