"""The generated first operator key, which waits in memory until somebody has kept it."""

from __future__ import annotations

import os
from pathlib import Path

# What a person types on the screen. More than the Enter with which one wakes a screen.
WORD = "kept"


def waiting(path: str) -> str:
    """The key; empty when none waits, or for others than root."""
    try:
        return Path(path).read_text(encoding="utf-8").strip() if os.access(path, os.R_OK) else ""
    except FileNotFoundError:
        return ""


def acknowledge(path: str, typed: str) -> bool:
    """Forget the key when `typed` says that it is kept; it is nowhere else. Returns whether it does."""
    if typed.strip().lower() != WORD:
        return False
    Path(path).unlink(missing_ok=True)
    return True
