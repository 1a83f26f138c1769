"""From properties to the files of this machine: all of them or, when one is wrong, none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import overrides as local
from .environment import Environment, Unreadable

# As a source of connections: nobody from outside.
NOBODY = "127.0.0.1/32"


@dataclass(frozen=True)
class Record:
    """What was applied last."""

    digest: str
    version: str
    environment: Environment
    values: dict[str, str]

    @classmethod
    def load(cls, path: Path) -> Record | None:
        """None when there is none, or what is there is damaged or an older version's."""
        try:
            saved = json.loads(path.read_text(encoding="utf-8"))
            return cls(**{**saved, "environment": Environment.from_json(saved["environment"])})
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def text(self) -> str:
        saved = {
            "digest": self.digest, "version": self.version, "environment": self.environment.to_json(),
            "values": self.values,
        }  # fmt: skip
        return json.dumps(saved, indent=2) + "\n"


def set_up(
    settings: dict[str, Any], found: Environment | None, root: Path, overrides: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Apply `found` and what was set on this machine, below `root`; returns the outcome for the console.

    `overrides` replace what was set before; None leaves it. `state` of the outcome is applied, unchanged, kept (the
    source is gone, its properties hold on), none (there never were any), pending (there is no network yet to ask over)
    or refused; with refused, `problems` has a line each, and the previous configuration stays. On a machine that has
    none the previous configuration is DHCP, and nobody can connect but the administrator.
    """
    record = Record.load(_below(root, settings["record_file"]))
    environment = current(settings, found, root)
    outcome: dict[str, Any] = {"state": "unchanged", "source": environment.source, "problems": [], "changed": []}
    try:
        chosen = local.load(_below(root, settings["overrides_file"])) if overrides is None else overrides
    except Unreadable as error:
        chosen, outcome["problems"] = {}, [str(error)]
    outcome["overrides"] = sorted(chosen)
    digest = environment.digest(chosen)
    if record and (record.digest, record.version) == (digest, settings["version"]) and not outcome["problems"]:
        outcome.update(state="unchanged" if found else "kept", values=record.values)
        return outcome

    # Imported here: a boot without changes gets by without it.
    from . import files  # noqa: PLC0415

    if environment.pending:
        outcome["state"] = "pending"
        values: dict[str, str] = {}
    else:
        values, problems = resolve(settings, environment, chosen)
        outcome["problems"] += problems
        outcome["state"] = "refused" if outcome["problems"] else _state(environment, chosen)
    if outcome["state"] in {"pending", "refused"}:
        values = record.values if record else _shut(settings, values)
        interfaces = record.environment.interfaces if record else ()
        planned = files.plan(values, interfaces, settings)
    else:
        planned = files.plan(values, environment.interfaces, settings)
        planned.append(files.File(settings["overrides_file"], local.text(chosen), 0o600))
        if outcome["state"] != "none":
            # Last: whatever was interrupted before is done again at the next boot.
            text = Record(digest, settings["version"], environment, values).text()
            planned.append(files.File(settings["record_file"], text, 0o600))
    outcome.update(values=values, changed=files.write_all(planned, root))
    return outcome


def current(settings: dict[str, Any], found: Environment | None, root: Path) -> Environment:
    """`found`, else what holds on from earlier, also from the system disk before this one, else nothing."""
    if found:
        return found
    records = (Record.load(_below(root, settings[name])) for name in ("record_file", "inherited_record_file"))
    return next((record.environment for record in records if record), Environment(""))


def resolve(
    settings: dict[str, Any], environment: Environment, overrides: Mapping[str, str]
) -> tuple[dict[str, str], list[str]]:
    """The values of all properties, and a line for every problem; without problems every property has a value."""
    # Imported here: a boot without changes gets by without them.
    from . import contradictions, properties  # noqa: PLC0415

    known = [entry["key"] for entry in settings["properties"]]
    values, problems = properties.check(merge(environment, overrides), settings["properties"])
    if environment.problem:
        return values, [environment.problem]
    written = [*(environment.properties if environment.only_our_keys else ()), *overrides]
    problems = [_unknown(key, known) for key in dict.fromkeys(written) if key not in known] + problems
    if not problems:
        tiers = [tier["id"] for tier in settings["tiers"]]
        problems = contradictions.find(values, tiers, assigns_addresses=environment.assigns_addresses)
    return values, problems


def merge(environment: Environment, overrides: Mapping[str, str]) -> dict[str, str]:
    """What was written for each property; an override wins, also an empty one."""
    given = {key: value for key, value in environment.properties.items() if value.strip()}
    return {**environment.defaults, **given, **overrides}


def _unknown(key: str, known: list[str]) -> str:
    # Imported here: almost nobody misspells a key.
    import difflib  # noqa: PLC0415

    close = difflib.get_close_matches(key.lower().replace("-", "_"), known, n=1)
    return f"{key[:40]}: there is no such property{f'; is it {close[0]}?' if close else ''}"


def _state(environment: Environment, overrides: Mapping[str, str]) -> str:
    return "applied" if environment.source or overrides else "none"


def _shut(settings: dict[str, Any], usable: Mapping[str, str]) -> dict[str, str]:
    """A machine that waits to be set up: DHCP, and no port but SSH for the key that was given, if that can be used."""
    from . import properties  # noqa: PLC0415

    values, _ = properties.check({}, settings["properties"])
    # Not without its sources: the key's owner wanted the port for them only.
    rescue = {"ssh_key", "ssh_sources"} if {"ssh_key", "ssh_sources"} <= set(usable) else set()
    values.update({key: usable[key] for key in rescue | ({"operator_key_sha256"} & set(usable))})
    return {**values, "web_sources": NOBODY, "call_sources": NOBODY}


def _below(root: Path, path: str) -> Path:
    return root / path.lstrip("/")
