"""What vv-setup says to a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .apply import merge
from .certificate import split
from .environment import Environment


def outcome(result: dict[str, Any]) -> list[str]:
    """The outcome of apply.set_up() in lines."""
    if result["state"] == "refused":
        kept = result["values"]["address"] or "DHCP"
        return [
            f"SETUP: the properties from {result['source'] or 'this machine'} were not applied:",
            *(f"SETUP:   {problem}" for problem in result["problems"]),
            f"SETUP: the address stays {kept}; correct the properties and restart, or: sudo vv-setup set KEY=VALUE",
        ]
    if result["state"] == "pending":
        return [f"setup: {result['source']} can be read once the network is there"]
    where = f"properties from {result['source']}" if result["source"] else "no properties were given"
    here = f", set on this machine: {', '.join(result['overrides'])}" if result["overrides"] else ""
    return [f"setup: {where}{here}, {result['state']}"]


def table(
    properties: Sequence[Mapping[str, str]],
    environment: Environment,
    overrides: Mapping[str, str],
    values: Mapping[str, str],
) -> list[str]:
    """Every property with its value, where that is from, and what an override hides."""
    merged = merge(environment, overrides)
    lines = [f"{'PROPERTY':20} {'FROM':28} VALUE"]
    for entry in properties:
        key = entry["key"]
        given = environment.properties.get(key, "").strip()
        if key in overrides:
            origin = "set here" + (f", hides {environment.source}" if given else "")
        elif given:
            origin = environment.source
        else:
            origin = "platform" if merged.get(key, "").strip() else "default"
        lines.append(f"{key:20} {origin:28} {_shown(entry['type'], values.get(key, ''))}".rstrip())
    return lines


def _shown(kind: str, value: str) -> str:
    if kind != "certificate" or not value:
        return value
    certificates, key = split(value)
    return f"{len(certificates)} certificate(s), {'with' if key else 'without'} a private key"
