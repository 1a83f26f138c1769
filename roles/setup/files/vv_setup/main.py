"""`vv-setup`: apply the properties of this machine; a wrong one changes nothing and is reported."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from . import apply, notes, sources
from . import overrides as local
from .environment import Environment, Unreadable

SETTINGS = "/usr/lib/voice-verify/setup.json"
LOCK = "/run/vv-setup.lock"
ROOT = Path("/")
USAGE = """\
usage: vv-setup [show | set KEY=VALUE... | unset KEY... | --boot | --online]

Read the properties that the platform gives this machine (VMware guestinfo, a disc, EC2 user data, NoCloud), check them
all, and write its configuration. Wrong properties change nothing.
  (none)    do so now, and restart what reads the configuration
  show      print every property, its value and where it is from
  set       give properties on the machine itself: checked before anything changes, in force until they are unset;
            KEY= stands for the default, KEY=@FILE for what a file holds, such as certificate=@chain.pem
  unset     take back what was set here
  --boot    as systemd does before the network
  --online  as systemd does on EC2, where the properties come over the network
Exit status: 0 when the properties are in force or there are none, 1 when they were refused, 2 for wrong usage.
"""
OK, REFUSED, WRONG_USAGE = 0, 1, 2


def main() -> int:
    """Run the command; see USAGE."""
    match sys.argv[1:]:
        case ["-h"] | ["--help"]:
            print(USAGE, end="")
            return OK
        case [] | ["--boot"] | ["--online"] | ["show"] | ["set", _, *_] | ["unset", _, *_] as arguments:
            pass
        case _:
            print(USAGE, end="", file=sys.stderr)
            return WRONG_USAGE
    if os.geteuid() != 0:
        print(f"error: this is root's affair\nhint: sudo vv-setup {' '.join(arguments)}", file=sys.stderr)
        return REFUSED
    settings = json.loads(Path(SETTINGS).read_text(encoding="utf-8"))
    # Configuration is root's affair; what others may read is given its mode explicitly.
    os.umask(0o022)
    try:
        return _run(settings, arguments)
    except Unreadable as error:
        print(f"error: {error}\nhint: vv-setup --help", file=sys.stderr)
        return WRONG_USAGE


def _run(settings: dict[str, Any], arguments: Sequence[str]) -> int:
    found = sources.find(network=arguments != ["--boot"])
    with Path(LOCK).open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if arguments and arguments[0] in {"show", "set", "unset"}:
            return _by_hand(settings, found, arguments)
        return _apply(settings, apply.set_up(settings, found, ROOT), at_boot=arguments == ["--boot"])


def _by_hand(settings: dict[str, Any], found: Environment | None, arguments: Sequence[str]) -> int:
    """Show the properties, or change those that are set on this machine: only to what has no problems."""
    environment = apply.current(settings, found, ROOT)
    overrides = changed(local.load(ROOT / str(settings["overrides_file"]).lstrip("/")), arguments)
    values, problems = apply.resolve(settings, environment, overrides)
    show = arguments[0] == "show"
    if show:
        from . import report  # noqa: PLC0415

        print("\n".join(report.table(settings["properties"], environment, overrides, values)))
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    if problems and not show:
        print("hint: nothing was changed; correct all of them in one command", file=sys.stderr)
    if problems or show:
        return REFUSED if problems else OK
    return _apply(settings, apply.set_up(settings, found, ROOT, overrides), at_boot=False)


def changed(overrides: Mapping[str, str], arguments: Sequence[str]) -> dict[str, str]:
    """What is set on this machine after the command. Raises Unreadable for arguments that make no sense."""
    match list(arguments):
        case ["set", *pairs]:
            return {**overrides, **local.assignments(pairs)}
        case ["unset", *keys]:
            unknown = [key for key in keys if key not in overrides]
            if unknown:
                there = ", ".join(sorted(overrides)) or "nothing"
                raise Unreadable(f"{unknown[0][:40]} is not set on this machine; set here: {there}")
            return {key: value for key, value in overrides.items() if key not in keys}
    return dict(overrides)


def _apply(settings: dict[str, Any], outcome: dict[str, Any], *, at_boot: bool) -> int:
    from . import report  # noqa: PLC0415

    service_differs = notes.leave(settings, outcome)
    if outcome["changed"]:
        subprocess.run(["hostname", outcome["values"]["hostname"]], check=False)
    print("\n".join(report.outcome(outcome)))
    if not at_boot:
        # Before a session over the old address ends.
        sys.stdout.flush()
        _restart(settings, outcome["changed"])
        if service_differs:
            unit = settings["service_unit"]
            running = subprocess.run(["systemctl", "is-active", "--quiet", unit], check=False).returncode == 0
            if running:
                print("setup: the service takes its new limits and names when it restarts, which ends running calls:")
                print(f"setup:   sudo systemctl restart {unit}")
    return REFUSED if outcome["state"] == "refused" else OK


def _restart(settings: dict[str, Any], changed: Sequence[str]) -> None:
    """Have the programs that read the files `changed` read them again."""
    if not changed:
        return
    if any(path.endswith(".network") for path in changed):
        subprocess.run(["networkctl", "reload"], check=False)
    # Not blocking: at boot some of them wait for this program themselves.
    subprocess.run(["systemctl", "--no-block", "restart", *settings["reload_units"]], check=False)
