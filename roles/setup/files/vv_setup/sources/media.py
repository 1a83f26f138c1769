"""File systems that carry properties, read without trusting them."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ..environment import MAXIMUM_BYTES
from ..programs import output


def devices(tag: str) -> list[str]:
    """The block devices whose file system has `tag`, such as LABEL=x, on whichever drive or bus; never from a cache."""
    return output(["blkid", "-c", "/dev/null", "-t", tag, "-o", "device"]).split()


def read(device: str, types: str, names: Sequence[str]) -> dict[str, bytes]:
    """The content of those files of the file system that are there, one byte beyond the limit at most.

    `types` are the file systems to try, as mount takes them.
    """
    found: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory(prefix="vv-setup-", dir="/run") as folder:
        mount = ["mount", "-t", types, "-o", "ro,nodev,nosuid,noexec", device, folder]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            return found
        try:
            for name in names:
                path = Path(folder, name)
                # A symbolic link could lead to a file of this machine.
                if path.is_file() and not path.is_symlink():
                    with path.open("rb") as file:
                        found[name] = file.read(MAXIMUM_BYTES + 1)
        finally:
            subprocess.run(["umount", folder], check=False)
    return found
