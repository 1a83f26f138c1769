"""Hash what a phase is made from, so that it runs again only when that changed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from vvctl.image.run import run

# What tools leave beside sources and no product depends on.
IGNORED = {"__pycache__", ".ansible", ".mypy_cache", ".pytest_cache", ".ruff_cache", "molecule"}


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, in hex."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _files(path: Path) -> Iterable[Path]:
    if path.is_file():
        yield path
        return
    for folder, names, files in os.walk(path):
        names[:] = sorted(name for name in names if name not in IGNORED and not name.endswith(".egg-info"))
        yield from (Path(folder) / name for name in sorted(files) if not name.endswith(".pyc"))


def fingerprint(*, paths: Iterable[Path] = (), texts: Iterable[str] = ()) -> str:
    """SHA-256 over names, modes and contents of files (folders are walked) and over texts.

    Raises FileNotFoundError for a path that does not exist.
    """
    digest = hashlib.sha256()
    for text in texts:
        digest.update(f"text {len(text)}\n{text}\n".encode())
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(path)
        for file in _files(path):
            executable = bool(file.stat().st_mode & 0o100)
            name = file.relative_to(path.parent).as_posix()
            digest.update(f"file {name} {executable} {file_sha256(file)}\n".encode())
    return digest.hexdigest()


class Stamp:
    """Remembers the fingerprint that a product was last made from."""

    def __init__(self, folder: Path, name: str) -> None:
        self._path = folder / name

    def matches(self, value: str) -> bool:
        try:
            return self._path.read_text(encoding="utf-8") == value
        except FileNotFoundError:
            return False

    def clear(self) -> None:
        self._path.unlink(missing_ok=True)

    def write(self, value: str) -> None:
        """Remember `value`, once its product is on the disk: a stamp must not outlive it over a power cut."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        run(["sync", "--file-system", self._path.parent])
        partial = self._path.with_name(f"{self._path.name}.partial")
        partial.write_text(value, encoding="utf-8")
        partial.replace(self._path)
