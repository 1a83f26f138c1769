"""How this package counts what it refuses; whoever runs it makes metrics of that."""

from __future__ import annotations

from typing import Protocol


class Count(Protocol):
    """Adds one to the counter of that name; `label` says which kind."""

    def __call__(self, name: str, label: str = "") -> None: ...


def ignore(name: str, label: str = "") -> None:
    """Count nothing."""
