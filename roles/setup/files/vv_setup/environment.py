"""What a data source says about this machine, in one form for all of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

# The certificate with its chain is the largest property; EC2 itself stops at 16 KiB.
MAXIMUM_BYTES = 256 * 1024


class Unreadable(Exception):
    """A data source is there, but what it says cannot be understood; the text says why and what to do."""


@dataclass(frozen=True)
class Interface:
    """A network card beside the first one, whose addresses the platform gives."""

    number: int
    mac: str
    addresses: tuple[str, ...]


@dataclass(frozen=True)
class Environment:
    """Properties as they were written, not checked yet.

    `problem` says why the source could not be read; `pending` that it can be asked only once there is a network.
    """

    source: str
    properties: Mapping[str, str] = field(default_factory=dict)
    # What the platform knows itself; holds for properties that nobody gave.
    defaults: Mapping[str, str] = field(default_factory=dict)
    # Hypervisors add keys of their own to an OVF environment; in a text that a person wrote they are mistakes.
    only_our_keys: bool = False
    # The platform gives the machine its addresses, so nothing here can.
    assigns_addresses: bool = False
    interfaces: tuple[Interface, ...] = ()
    problem: str = ""
    pending: bool = False

    def to_json(self) -> dict[str, Any]:
        """For the record; from_json() takes it back."""
        return asdict(self)

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Environment:
        """Raises TypeError or KeyError for what to_json() has not made."""
        cards = [Interface(card["number"], card["mac"], tuple(card["addresses"])) for card in saved["interfaces"]]
        return cls(**{**saved, "interfaces": tuple(cards)})

    def digest(self, overrides: Mapping[str, str]) -> str:
        """Changes whenever the configuration may, so not with the drive in which a disc lies."""
        content = {**self.to_json(), "source": "", "overrides": dict(overrides)}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def decode(content: bytes) -> str:
    """The text of a file or answer. Raises Unreadable when it is too large or no UTF-8."""
    if len(content) > MAXIMUM_BYTES:
        raise Unreadable(f"it is larger than {MAXIMUM_BYTES // 1024} KiB")
    if content.startswith(b"\x1f\x8b"):
        raise Unreadable("it is compressed; give it as plain text")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unreadable("it is not text in UTF-8") from None
