"""Which process owns something that is written in the database, and whether it still lives.

Processes that share a database run on one machine.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

# Fields of /proc/PID/stat behind the name of the program, which may hold spaces: proc(5).
STATE_FIELD = 0
START_FIELD = 19


@cache
def own() -> str:
    """The name of this process: the boot of the machine, the process id, and when it started in ticks since the boot.

    All three, because process ids come again, and after a reboot start times do, too.
    """
    return _identity(os.getpid()) or f"{_boot()}-{os.getpid()}-0"


def lives(owner: str) -> bool:
    """Whether the process that `own` named so still runs."""
    parts = owner.split("-")
    return len(parts) == 3 and parts[1].isdecimal() and _identity(int(parts[1])) == owner


def _identity(pid: int) -> str | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    # A zombie does nothing any more.
    return None if fields[STATE_FIELD] in "ZX" else f"{_boot()}-{pid}-{fields[START_FIELD]}"


@cache
def boot() -> str:
    """Another one each time the machine starts."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _boot() -> str:
    return boot().partition("-")[0]
