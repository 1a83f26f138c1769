"""Properties that were set on the machine itself: they win over every data source until they are unset."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from .environment import MAXIMUM_BYTES, Unreadable


def load(path: Path) -> dict[str, str]:
    """What is set; nothing when the file is absent. Raises Unreadable for a file that is no such thing."""
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise Unreadable(f"what was set on this machine cannot be read ({error}); remove {path}") from None
    if not isinstance(loaded, dict) or not all(isinstance(value, str) for value in loaded.values()):
        raise Unreadable(f"{path} is no list of properties; remove it")
    return loaded


def text(values: Mapping[str, str]) -> str | None:
    """The content of the file; None for no file."""
    return json.dumps(dict(values), indent=2, sort_keys=True) + "\n" if values else None


def assignments(arguments: list[str]) -> dict[str, str]:
    """`KEY=VALUE`, or `KEY=@FILE` for what the file holds; an empty value stands for the property's default.

    Raises Unreadable for anything else.
    """
    found: dict[str, str] = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not equals or not key:
            raise Unreadable(f"{argument[:40]!r} is not KEY=VALUE")
        if key in found:
            raise Unreadable(f"{key} is there twice")
        found[key] = _file(value[1:]) if value.startswith("@") else value
    return found


def _file(name: str) -> str:
    try:
        with Path(name).open(encoding="utf-8") as file:
            return file.read(MAXIMUM_BYTES)
    except (OSError, UnicodeDecodeError) as error:
        raise Unreadable(f"{name} cannot be read: {error}") from None
