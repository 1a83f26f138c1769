"""`vv-status`: once for a person, with --json for a program, with --console for ever on the machine's screens."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from . import facts, screen

SETTINGS = "/usr/lib/voice-verify/setup.json"
USAGE = """\
usage: vv-status [--json | --console]

  (none)     print address, tier, health and the next step
  --json     print the same for a program
  --console  show it on tty1 and ttyS0, again whenever it changes (the unit vv-console runs this)
Exit status: 0 when the service is ready, 1 when it is not, 2 for wrong usage.
"""
# The screen keeps only the newest state; a serial line is a log.
SCREENS = {"/dev/tty1": "\x1b[H\x1b[2J\x1b[3J", "/dev/ttyS0": "\r\n"}
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
    if arguments == ["--console"]:
        watch(settings)
    state = facts.gather(settings)
    print(json.dumps(state, indent=2) if arguments else screen.render(state, facts.operator_key(settings)))
    return 0 if state["ready"] else 1


def watch(settings: dict[str, object]) -> None:
    """Show the state whenever it has changed; never returns."""
    shown = ""
    while True:
        state = facts.gather(settings)
        text = screen.render(state, facts.operator_key(settings))
        if text != shown:
            for path, lead in SCREENS.items():
                show(path, lead + text)
            shown = text
        time.sleep(STEADY_S if state["ready"] else STARTING_S)


def show(path: str, text: str) -> None:
    """Write to a screen that may be absent, or have nobody at the other end."""
    try:
        # Not blocking: a serial line without a listener must not stop the other screen.
        descriptor = os.open(path, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return
    try:
        os.write(descriptor, text.encode())
    except OSError:
        pass
    finally:
        os.close(descriptor)
