"""`vv-setup`: apply the properties of this machine; a wrong one changes nothing and is reported."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from . import environment, sizing

SETTINGS = "/usr/lib/voice-verify/setup.json"
USAGE = """\
usage: vv-setup [--boot]

Read the OVF properties that the hypervisor gives this machine, check them all, and write its configuration:
network, host name, time servers, SSH key, hash of the first operator key. Wrong properties change nothing.
  --boot   leave restarting of services to the boot that is going on
"""


def set_up(settings: dict[str, Any], found: environment.Environment | None, root: Path) -> dict[str, Any]:
    """Apply `found` below `root`; returns the outcome for the console.

    `state` is applied, unchanged, none (no properties were given) or refused; with refused, `problems` has a line each.
    """
    record = root / str(settings["record_file"]).lstrip("/")
    known = _load(record)
    digest = hashlib.sha256(found.text.encode()).hexdigest() if found else ""
    outcome: dict[str, Any] = {
        "state": "unchanged", "source": found.source if found else "", "problems": [], "changed": [],
    }  # fmt: skip
    if known and known["digest"] == digest and known["version"] == settings["version"]:
        outcome["values"] = known["values"]
        return outcome
    if known and not found:
        outcome.update(state="none", values=known["values"])
        return outcome

    # Imported here: a boot without changes gets by without them.
    from . import files, properties  # noqa: PLC0415

    try:
        given = environment.parse(found.text) if found else {}
        values, problems = properties.check(given, settings["properties"])
    except environment.EnvironmentUnreadable as error:
        values, problems = {}, [f"the OVF environment cannot be read: {error}"]
    if problems:
        outcome.update(state="refused", problems=problems)
        values = known["values"] if known else properties.check({}, settings["properties"])[0]
    else:
        outcome["state"] = "applied" if found else "none"
    outcome["values"] = values
    wanted = files.plan(
        values,
        keys_file=f"{settings['authorized_keys_folder']}/{settings['administrator']}",
        operator_key_sha256_file=settings["operator_key_sha256_file"],
    )
    outcome["changed"] = files.write_all(wanted, root)
    if not problems and found:
        text = json.dumps({"digest": digest, "version": settings["version"], "values": values}, indent=2)
        # Last: whatever was interrupted before is done again at the next boot.
        files.write_all([files.File(str(settings["record_file"]), f"{text}\n", 0o600)], root)
    return outcome


def _load(record: Path) -> dict[str, Any] | None:
    try:
        loaded = json.loads(record.read_text(encoding="utf-8"))
        return loaded if {"digest", "version", "values"} <= set(loaded) else None
    except (OSError, ValueError):
        return None


def leave_notes(settings: dict[str, Any], outcome: dict[str, Any]) -> None:
    """Tell the service what this machine can hold, and the console what happened; both in memory only."""
    size = sizing.this_machine(settings["tiers"])
    lines = [f"VV_MAX_STREAMS={size['streams']}", f"VV_ENGINE_THREADS={size['engine_threads']}"]
    domain = outcome["values"]["domain"]
    if domain:
        port = "" if settings["http_port"] == 80 else f":{settings['http_port']}"
        lines.append(f"VV_PUBLIC_WS_URL=ws://voiceverify.{domain}{port}")
    folder = Path(settings["runtime_folder"])
    folder.mkdir(parents=True, exist_ok=True)
    Path(settings["service_settings_file"]).write_text("\n".join(lines) + "\n", encoding="utf-8")
    note = folder / "setup.json"
    note.touch(mode=0o600)
    note.write_text(json.dumps({**outcome, "sizing": size}), encoding="utf-8")


def main() -> int:
    """Exit status 0 when the properties are in force or there are none, 1 when they were refused, 2 for wrong usage."""
    arguments = sys.argv[1:]
    if arguments not in ([], ["--boot"]):
        print(USAGE, end="", file=sys.stdout if arguments in (["-h"], ["--help"]) else sys.stderr)
        return 0 if arguments in (["-h"], ["--help"]) else 2
    settings = json.loads(Path(SETTINGS).read_text(encoding="utf-8"))
    # Configuration is root's affair; what others may read is given its mode explicitly.
    os.umask(0o022)
    outcome = set_up(settings, environment.find(), Path("/"))
    leave_notes(settings, outcome)
    if outcome["changed"]:
        subprocess.run(["hostname", outcome["values"]["hostname"]], check=False)
        if not arguments:
            _reload()
    for line in report(outcome):
        print(line)
    return 1 if outcome["state"] == "refused" else 0


def _reload() -> None:
    for command in (
        ["networkctl", "reload"],
        ["systemctl", "try-restart", "systemd-timesyncd.service"],
        ["systemctl", "try-restart", "voice-verify-key.service"],
    ):
        subprocess.run(command, check=False)


def report(outcome: dict[str, Any]) -> list[str]:
    """The outcome in lines for a person."""
    if outcome["state"] == "refused":
        kept = outcome["values"]["address"] or "DHCP"
        return [
            f"SETUP: the properties from {outcome['source']} were not applied:",
            *(f"SETUP:   {problem}" for problem in outcome["problems"]),
            f"SETUP: the address stays {kept}; correct the properties and restart",
        ]
    where = f"properties from {outcome['source']}" if outcome["source"] else "no properties were given"
    return [f"setup: {where}, {outcome['state']}"]
