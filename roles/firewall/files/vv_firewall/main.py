"""`vv-firewall`: make the rules and load them. Rules that cannot be made or loaded leave those in force that are."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from . import rules
from .access import Access, Unreadable, read_access, read_tls

SETTINGS = "/usr/lib/voice-verify/firewall.json"
USAGE = """\
usage: vv-firewall [--print | --print-first]

Make the firewall's rules from the port table, the properties and whether there is TLS; check them, then load them.
  --print        print them and load nothing
  --print-first  print those that hold until the properties are known: only what is always open
Exit status: 0 when done, 1 when the rules in force were left as they are, 2 for wrong usage.
"""
# (none), or what to print.
ARGUMENTS: tuple[list[str], ...] = ([], ["--print"], ["--print-first"])


def make(settings: dict[str, Any]) -> str:
    """The ruleset for this machine as it is now; until its properties are known the first one.

    Raises Unreadable.
    """
    access = read_access(Path(settings["access_file"]))
    if access is None:
        return make_first(settings)
    tls = read_tls(Path(settings["tls_state_file"]))
    return _render(settings, rules.let_in(settings["ports"], access, tls), access)


def make_first(settings: dict[str, Any]) -> str:
    """The ruleset before anything is known: what is always open, for everybody, so that nobody is locked out."""
    return _render(settings, [port for port in settings["ports"] if port["open"] == "always"], Access())


def _render(settings: dict[str, Any], ports: list[rules.Port], access: Access) -> str:
    limits = {key: settings[key] for key in ("ssh_port", "ssh_per_minute")}
    return rules.render(ports, access, **limits)


def load(ruleset: str) -> str:
    """Check and load a ruleset as one transaction; returns what nft says against it, nothing when it is in force."""
    for command in (["nft", "--check", "--file", "-"], ["nft", "--file", "-"]):
        done = subprocess.run(command, input=ruleset, capture_output=True, text=True, check=False)
        if done.returncode:
            return done.stderr.strip() or f"{' '.join(command)} ended with {done.returncode}"
    return ""


def main() -> int:
    """Run the command; see USAGE."""
    arguments = sys.argv[1:]
    if arguments not in ARGUMENTS:
        asked = arguments in (["-h"], ["--help"])
        print(USAGE, end="", file=sys.stdout if asked else sys.stderr)
        return 0 if asked else 2
    settings = json.loads(Path(SETTINGS).read_text(encoding="utf-8"))
    if arguments == ["--print-first"]:
        print(make_first(settings), end="")
        return 0
    try:
        ruleset = make(settings)
    except Unreadable as error:
        return _refuse(str(error))
    if arguments:
        print(ruleset, end="")
        return 0
    problem = load(ruleset)
    return _refuse(f"nft does not take the rules: {problem}") if problem else 0


def _refuse(problem: str) -> int:
    print(f"error: {problem}", file=sys.stderr)
    print("hint: the rules in force were left as they are; see: nft list ruleset", file=sys.stderr)
    return 1
