"""What is shown before anything is done."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """What stands in the way of an upgrade, and what to do about it."""

    problem: str
    hint: str


@dataclass(frozen=True)
class Effect:
    """What a state would touch, by name and id, for a person to read before it is done."""

    state: str
    touches: str
