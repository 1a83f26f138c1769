"""`vv-identity`: run by systemd; a person may ask it to show."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from . import actions
from .actions import Outcome
from .store import Damaged, Store, locked
from .system import Part, System

SETTINGS = "/usr/lib/voice-verify/identity.json"
LOCK = "/run/vv-identity.lock"
USAGE = """\
usage: vv-identity take | keep

  take  at the first start of a system disk: take over what is on the data disk
  keep  write to the data disk what this machine has
Exit status: 0 done, or nothing to do; 1 failed; 2 wrong usage.
"""
_SAID = {
    actions.OWN: "the data disk is new; this machine makes its own and keeps it there",
    actions.TAKEN: "SSH host keys, machine-id and settings were taken over from the data disk",
    actions.KEPT: "kept on the data disk",
    actions.UNCHANGED: "",
    actions.INCOMPLETE: "not complete yet; nothing was kept",
    actions.ANOTHER: "the data disk is another appliance's; restart this machine, and it takes over that one's",
}


@dataclass(frozen=True)
class Settings:
    """What the image was built with."""

    mount: str
    mount_unit: str
    folder: str
    mark_file: str
    state_file: str
    parts: tuple[Part, ...]


def load_settings(path: str = SETTINGS) -> Settings:
    given = json.loads(Path(path).read_text(encoding="utf-8"))
    return Settings(**{**given, "parts": tuple(Part(**part) for part in given["parts"])})


def main(arguments: list[str] | None = None) -> int:
    """Run the command; see USAGE."""
    given = sys.argv[1:] if arguments is None else arguments
    if given in (["-h"], ["--help"]):
        print(USAGE, end="")
        return 0
    if given not in (["take"], ["keep"]):
        print(USAGE, end="", file=sys.stderr)
        return 2
    settings = load_settings()
    # What others may not read is given its mode explicitly.
    os.umask(0o022)
    with locked(Path(LOCK)):
        return run(given[0], settings)


def run(command: str, settings: Settings, root: Path = Path("/")) -> int:
    """Exit status 1 when the identity could be neither taken nor kept; then nothing was changed on the data disk."""
    system = System(settings.parts, settings.mark_file, root)
    store = Store(root / settings.folder.lstrip("/"))
    try:
        if command == "take":
            if not _mounted(settings):
                print("identity: no data disk; this machine makes its own")
                return 0
            outcome = actions.take(system, store)
        else:
            outcome = actions.keep(system, store)
    except (Damaged, OSError) as error:
        problem = f"the identity on the data disk cannot be used: {error}"
        _publish(settings, root, {"state": "damaged", "problem": problem})
        print(f"IDENTITY: {problem}", file=sys.stderr)
        return 1
    _tell(settings, root, outcome)
    for unit in outcome.restart:
        subprocess.run(["systemctl", "restart", unit], check=False)
    return 0


def _mounted(settings: Settings) -> bool:
    """Whether the data disk is mounted, once it had the time to be."""
    if not os.path.ismount(settings.mount):
        subprocess.run(["systemctl", "start", settings.mount_unit], check=False)
    return os.path.ismount(settings.mount)


def _tell(settings: Settings, root: Path, outcome: Outcome) -> None:
    said = _SAID[outcome.state]
    if said:
        print(f"identity: {said}")
    if outcome.state in {actions.TAKEN, actions.ANOTHER}:
        problem = said if outcome.state == actions.ANOTHER else ""
        _publish(settings, root, {"state": outcome.state, "problem": problem})


def _publish(settings: Settings, root: Path, state: dict[str, str]) -> None:
    """For the console."""
    path = root / settings.state_file.lstrip("/")
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.new")
    new.write_text(json.dumps(state) + "\n", encoding="utf-8")
    new.chmod(0o644)
    new.replace(path)
