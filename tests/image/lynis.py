"""Lynis in the guest: the build host's copy, run beside everything else, since it takes minutes under emulation."""

from __future__ import annotations

import io
import re
import tarfile
from pathlib import Path
from typing import Any

from vvctl.machine import MachineError

from .guest import Guest

# Debian's package of that name spreads over these; unpacked, Lynis wants them side by side.
_PARTS = {
    "lynis": Path("/usr/sbin/lynis"),
    "include": Path("/usr/share/lynis/include"),
    "db": Path("/usr/share/lynis/db"),
}
_PROFILE = Path("/etc/lynis/default.prf")
# It would fetch package lists, and the test's network leads nowhere.
_SKIPPED = "skip-test=PKGS-7392\n"
_FOLDER = "/run/lynis"
# On a quiet machine it takes half a minute.
LIMIT_S = 60


def start(guest: Guest) -> None:
    """Copy it in and start it at the lowest priority; it is looked for later."""
    guest.shell.send(_archive(), f"mkdir {_FOLDER} && tar -x --no-same-owner -C {_FOLDER}", timeout_s=guest.slow(30))
    guest.root(
        f"systemd-run --quiet --unit=lynis --property=Nice=19 --property=CPUWeight=idle --working-directory={_FOLDER}"
        " /bin/sh ./lynis audit system --quiet --no-colors --skip-plugins --profile ./profile.prf"
        f" --logfile {_FOLDER}/log --report-file {_FOLDER}/report.dat"
    )


def report(guest: Guest) -> dict[str, Any]:
    """Wait for its end: hardening index (0 to 100), number of tests, warnings and suggestions as `TEST-ID text`."""

    def finished() -> str | None:
        # Its report ends before it does: it still writes and clears up beside it.
        if guest.shell.attempt("systemctl is-active --quiet lynis").returncode == 0:
            return None
        text = guest.shell.attempt(f"cat {_FOLDER}/report.dat").stdout
        return text if "\nfinish=true" in text else None

    text = guest.until("Lynis", finished, LIMIT_S)
    guest.root(f"rm -rf {_FOLDER}")
    return parse(text)


def parse(text: str) -> dict[str, Any]:
    """A report of Lynis 3: lines of key=value, `[]` behind the key where it repeats, fields split by `|`."""
    index = re.search(r"^hardening_index=(\d+)$", text, re.MULTILINE)
    tests = re.search(r"^lynis_tests_done=(\d+)$", text, re.MULTILINE)
    version = re.search(r"^lynis_version=(.+)$", text, re.MULTILINE)
    if not (index and tests and version):
        raise MachineError("the report of Lynis has no index")
    return {
        "version": version[1],
        "index": int(index[1]),
        "tests": int(tests[1]),
        **{
            f"{kind}s": [
                " ".join(line.split("|")[:2]) for line in re.findall(rf"^{kind}\[\]=(.+)$", text, re.MULTILINE)
            ]
            for kind in ("warning", "suggestion")
        },
    }


def _archive() -> bytes:
    if not _PROFILE.exists():
        raise MachineError("Lynis is not installed on this machine; hint: apt-get install lynis")
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, path in _PARTS.items():
            archive.add(path, name)
        profile = (_PROFILE.read_text(encoding="utf-8") + _SKIPPED).encode()
        entry = tarfile.TarInfo("profile.prf")
        entry.size, entry.mode = len(profile), 0o644
        archive.addfile(entry, io.BytesIO(profile))
        for folder in ("plugins", "extras"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
    return content.getvalue()
