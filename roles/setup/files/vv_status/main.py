"""`vv-status`: once for a person, with --json for a program, with --console for ever on the machine's screens."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from . import facts, operator_key, screen
from .console import Console

SETTINGS = "/usr/lib/voice-verify/setup.json"
USAGE = """\
usage: vv-status [--json | --console]

  (none)     print address, tier, health and the next step
  --json     print the same for a program
  --console  show it on tty1 and ttyS0, again whenever it changes (the unit vv-console runs this)
Exit status: 0 when the service is ready, 1 when it is not, 2 for wrong usage.
"""
STARTING_S, STEADY_S = 5, 30


def main() -> int:
    """Run the command; see USAGE."""
    arguments = sys.argv[1:]
    if arguments in (["-h"], ["--help"]):
        print(USAGE, end="")
        return 0
    if arguments not in ([], ["--json"], ["--console"]):
        print(USAGE, end="", file=sys.stderr)
        return 2
    settings = json.loads(Path(SETTINGS).read_text(encoding="utf-8"))
    key_file = str(settings["operator_key_file"])
    if arguments == ["--console"]:
        watch(settings, key_file)
    state = facts.gather(settings)
    print(json.dumps(state, indent=2) if arguments else screen.render(state, operator_key.waiting(key_file)))
    return 0 if state["ready"] else 1


def watch(settings: dict[str, object], key_file: str) -> None:
    """Show the state whenever it has changed, and take what is typed; never returns."""
    console = Console()
    while True:
        state, key = facts.gather(settings), operator_key.waiting(key_file)
        # A serial line is a log, kept by hypervisors and clouds: no key goes there.
        console.show(screen=screen.render(state, key, may_be_kept_here=True), line=screen.render(state, key))
        typed = console.wait(STEADY_S if state["ready"] else STARTING_S)
        if typed is not None and key:
            operator_key.acknowledge(key_file, typed)
