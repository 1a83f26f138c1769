"""Looks into the ext4 file systems of disk images without booting or mounting them."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

_ENTRY = re.compile(r"^\s*\d+\s+([0-7]+)\s+\(\d+\)\s+\d+\s+\d+\s+(\d+)\s+\S+\s+\S+\s+(.+)$")
_KIND, _DIRECTORY, _REGULAR = 0o170000, 0o040000, 0o100000
# The Discoverable Partitions Specification's type of a root file system on x86-64.
_ROOT_PARTITION = "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"


class FileSystem:
    """An ext4 file system in a raw image, read by debugfs."""

    def __init__(self, image: Path, *, partitioned: bool) -> None:
        """The root partition of a partitioned image, or the whole image."""
        offset = _root_offset(image) if partitioned else 0
        self._target = f"{image}?offset={offset}"

    def text(self, path: str) -> str | None:
        """Content of a file; None when there is none."""
        if not self.exists(path):
            return None
        return self._debugfs(f"cat {path}")

    def exists(self, path: str) -> bool:
        return "Inode:" in self._debugfs(f"stat {path}")

    def flags(self, path: str) -> int:
        """The inode's flags, such as 0x10 for immutable (ext4 layout: i_flags)."""
        found = re.search(r"Flags: (0x[0-9a-f]+)", self._debugfs(f"stat {path}"))
        assert found, f"{path} is not in the image"
        return int(found.group(1), 16)

    def names(self, path: str) -> list[str]:
        """What lies directly in a directory; nothing when it is not there."""
        return [name for name, _, _ in self._entries(path)]

    def files(self, path: str) -> dict[str, int]:
        """Every regular file below a directory with its size in bytes."""
        found: dict[str, int] = {}
        for name, mode, size in self._entries(path):
            below = f"{path.rstrip('/')}/{name}"
            if mode & _KIND == _DIRECTORY:
                found |= self.files(below)
            elif mode & _KIND == _REGULAR:
                found[below] = size
        return found

    def dump(self, folder: Path) -> None:
        """Copy everything out into an empty `folder`; links stay links, device nodes are left out."""
        self._debugfs(f"rdump / {folder}")

    def _entries(self, path: str) -> list[tuple[str, int, int]]:
        found = [_ENTRY.match(line) for line in self._debugfs(f"ls -l {path}").splitlines()]
        entries = [(match[3].strip(), int(match[1], 8), int(match[2])) for match in found if match]
        return [entry for entry in entries if entry[0] not in {".", ".."}]

    def _debugfs(self, request: str) -> str:
        done = subprocess.run(["debugfs", "-R", request, self._target], capture_output=True, check=True)
        return done.stdout.decode("utf-8", errors="replace")


def _root_offset(image: Path) -> int:
    done = subprocess.run(["sfdisk", "--json", str(image)], capture_output=True, text=True, check=True)
    table = json.loads(done.stdout)["partitiontable"]
    found = [part["start"] for part in table["partitions"] if part["type"] == _ROOT_PARTITION]
    assert len(found) == 1, f"{image} has {len(found)} root partitions"
    return int(found[0]) * int(table["sectorsize"])
