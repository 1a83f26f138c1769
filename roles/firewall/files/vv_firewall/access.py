"""Who may connect, and whether there is TLS: what other programs of this machine found out."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PLAIN_PORTS = ("open", "closed")


class Unreadable(Exception):
    """A file does not say what it must; the text names it and what to do."""


@dataclass(frozen=True)
class Access:
    """What the properties of this machine allow."""

    # IPv4 networks by property; a property without any restricts nothing.
    sources: Mapping[str, tuple[ipaddress.IPv4Network, ...]] = field(default_factory=dict)
    plain_ports: str = "open"


@dataclass(frozen=True)
class Tls:
    """Whether the TLS ports are served, and whether under the names by which clients look for this machine."""

    enabled: bool
    names_fit: bool


def read_access(path: Path) -> Access | None:
    """The access file: {"sources": {property: [network, ...]}, "plain_ports": "open" or "closed"}; None without it.

    Raises Unreadable when it says anything else: a restriction that cannot be read is not left out.
    """
    if not path.exists():
        return None
    hint = "run vv-setup, which writes it"
    content = _object(path)
    try:
        sources = {
            str(name): tuple(ipaddress.collapse_addresses(ipaddress.IPv4Network(network) for network in networks))
            for name, networks in content["sources"].items()
        }
        plain_ports = content["plain_ports"]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Unreadable(f"{path} does not say who may connect ({error}); {hint}") from None
    if plain_ports not in PLAIN_PORTS:
        raise Unreadable(f"{path}: plain_ports is {plain_ports!r}, not open or closed; {hint}")
    return Access(sources, plain_ports)


def read_tls(path: Path) -> Tls | None:
    """What is known about TLS since this boot; None before it is.

    Raises Unreadable for a file that says something else.
    """
    if not path.exists():
        return None
    content = _object(path)
    values = (content.get("enabled"), content.get("names_fit"))
    if not all(isinstance(value, bool) for value in values):
        raise Unreadable(f"{path} does not say whether TLS is on; run vv-certificate apply, which writes it")
    return Tls(enabled=bool(values[0]), names_fit=bool(values[1]))


def _object(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Unreadable(f"{path} cannot be read: {error}") from None
    if not isinstance(content, dict):
        raise Unreadable(f"{path} holds no JSON object")
    return content
