"""`vv-updates`: security updates of the system, installed without a break for the calls that are running."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from . import waiting

SETTINGS = "usr/lib/voice-verify/updates.json"
# unattended-upgrades touches it after every run.
STAMP = "var/lib/apt/periodic/unattended-upgrades-stamp"
USAGE = """\
usage: vv-updates on | off | status [--json] | now

  on      install Debian's security updates every night; kept on the data disk, so a new system disk goes on with it
  off     do not (as delivered)
  status  whether they are on, when they ran last, and what waits for a restart
  now     fetch and install them once
No update restarts the service or the machine. Exit status: 0 done, 1 failed, 2 wrong usage.
"""


class Failed(Exception):
    """What went wrong, and what to do about it."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def turn_on(settings: dict[str, Any], root: Path) -> None:
    """Leave the file that Debian's timers look for. Raises Failed when the data disk is away."""
    switch = root / str(settings["updates_file"]).lstrip("/")
    try:
        switch.touch(mode=0o644)
    except OSError as error:
        raise Failed(
            f"{switch} cannot be written: {error.strerror}", "is the data disk there? vv-status tells"
        ) from error


def turn_off(settings: dict[str, Any], root: Path) -> None:
    """Remove the file; what is being installed right now is finished first."""
    (root / str(settings["updates_file"]).lstrip("/")).unlink(missing_ok=True)


def state(settings: dict[str, Any], root: Path) -> dict[str, Any]:
    """What `status` tells; times are UTC in ISO 8601."""
    stamp = root / STAMP
    ran = datetime.fromtimestamp(stamp.stat().st_mtime, UTC).isoformat(timespec="seconds") if stamp.exists() else None
    return {
        "automatic": (root / str(settings["updates_file"]).lstrip("/")).exists(),
        "last_run": ran,
        "kernel_waiting": waiting.kernel(root),
        "services_waiting": waiting.services(settings["kept_running"], root),
    }


def describe(found: dict[str, Any]) -> str:
    """The state in lines for a person."""
    lines = [
        f"Automatic  {'on: security updates every night' if found['automatic'] else 'off (vv-updates on)'}",
        f"Last run   {found['last_run'] or 'never'}",
    ]
    if found["kernel_waiting"]:
        lines.append(
            f"Restart    the machine: kernel {found['kernel_waiting']} is installed, {os.uname().release} runs"
        )
    elif found["services_waiting"]:
        names = " ".join(found["services_waiting"])
        lines.append(f"Restart    when no call is running: systemctl restart {names}")
    else:
        lines.append("Restart    not needed")
    return "\n".join(lines)


def install_now() -> None:
    """Fetch the lists and install, with the output on the terminal. Raises Failed."""
    for command, hint in (
        # Without the option it passes over what it could not fetch.
        (["apt-get", "update", "--error-on=any"], "is the archive in /etc/apt/sources.list.d, or a proxy, in reach?"),
        (["unattended-upgrade", "--verbose"], "see /var/log/unattended-upgrades/unattended-upgrades.log"),
    ):
        if subprocess.run(["nice", "-n", "19", *command], check=False).returncode:
            raise Failed(f"{command[0]} failed", hint)


def main(arguments: list[str] | None = None, root: Path = Path("/")) -> int:
    """Run the command; see USAGE."""
    given = sys.argv[1:] if arguments is None else arguments
    if given in (["-h"], ["--help"]):
        print(USAGE, end="")
        return 0
    if given not in (["on"], ["off"], ["status"], ["status", "--json"], ["now"]):
        print(USAGE, end="", file=sys.stderr)
        return 2
    if os.geteuid() != 0:
        print(f"error: updates are root's affair\nhint: sudo vv-updates {' '.join(given)}", file=sys.stderr)
        return 1
    settings = json.loads((root / SETTINGS).read_text(encoding="utf-8"))
    try:
        if given == ["on"]:
            turn_on(settings, root)
        elif given == ["off"]:
            turn_off(settings, root)
        elif given == ["now"]:
            install_now()
    except Failed as error:
        print(f"error: {error}\nhint: {error.hint}", file=sys.stderr)
        return 1
    found = state(settings, root)
    print(json.dumps(found, indent=2) if given[1:] == ["--json"] else describe(found))
    return 0
