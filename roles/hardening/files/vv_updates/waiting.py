"""What was updated on the disk but still runs as it was: the kernel, and programs with replaced files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

CONTROL_GROUPS = "sys/fs/cgroup/system.slice"
# Where packages and the service itself have their programs and libraries; shared memory is deleted while in use, too.
CODE = ("/usr/", "/opt/")
_DELETED = " (deleted)"


def kernel(root: Path = Path("/"), running: str | None = None) -> str | None:
    """The release of the installed kernel when another one runs (`uname -r`), else None."""
    try:
        installed = (root / "boot/vmlinuz").readlink().name.removeprefix("vmlinuz-")
    except OSError:
        return None
    return installed if installed != (running or os.uname().release) else None


def services(units: Sequence[str], root: Path = Path("/")) -> list[str]:
    """Those of `units` in which a process runs code that is no longer on the disk. Needs root."""
    return [unit for unit in units if any(_runs_replaced(pid, root) for pid in _processes(unit, root))]


def _processes(unit: str, root: Path) -> Iterator[str]:
    # Below the unit's own group: a service may have groups for its parts.
    for listing in (root / CONTROL_GROUPS / unit).rglob("cgroup.procs"):
        yield from listing.read_text(encoding="ascii").split()


def _runs_replaced(pid: str, root: Path) -> bool:
    try:
        maps = (root / "proc" / pid / "maps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        # It has ended meanwhile.
        return False
    return any(_is_replaced_code(line) for line in maps.splitlines())


def _is_replaced_code(line: str) -> bool:
    """Whether a line of /proc/PID/maps (proc_pid_maps(5)) is executable and its file was deleted."""
    fields = line.split(maxsplit=5)
    return len(fields) == 6 and "x" in fields[1] and fields[5].startswith(CODE) and fields[5].endswith(_DELETED)
