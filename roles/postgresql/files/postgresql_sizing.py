#!/usr/bin/python3 -IS
"""Give PostgreSQL its memory by the size of this machine; its unit runs this before each start.

    postgresql-sizing SETTINGS

SETTINGS is JSON: sizing_file (JSON with memory_gb, GiB), target (the file to write, which postgresql.conf includes),
connections, memory_shares ({setting: n} for one nth of the memory). Exit status 1, with no target left, when the
machine's size is not known.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

# PostgreSQL's own default for work_mem, the smallest of them.
AT_LEAST_MB = 4
# Every connection may take it at the same time.
OF_A_CONNECTION = "work_mem"


def memory_mb(shares: Mapping[str, int], connections: int, memory_gb: float) -> dict[str, int]:
    """The settings in MB for a machine with `memory_gb` GiB."""
    settings = {}
    for name, share in shares.items():
        parts = share * connections if name == OF_A_CONNECTION else share
        settings[name] = max(AT_LEAST_MB, int(memory_gb * 1024 / parts))
    return settings


def main() -> int:
    """Write the file; see the module."""
    settings = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    target = Path(settings["target"])
    # What an earlier start wrote must not outlive a machine that was made smaller.
    target.unlink(missing_ok=True)
    try:
        size = json.loads(Path(settings["sizing_file"]).read_text(encoding="utf-8"))
        memory_gb = float(size["memory_gb"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"{settings['sizing_file']} does not tell the memory ({error}); defaults hold", file=sys.stderr)
        return 1
    values = memory_mb(settings["memory_shares"], settings["connections"], memory_gb)
    lines = [f"# For {memory_gb:g} GiB of memory", *(f"{name} = {value}MB" for name, value in values.items())]
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
