"""The format of the data disk, noted on it: raised before anything newer is written there, and never lowered."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

NOTE = ".voice-verify.json"


def note(folder: Path, epoch: int) -> bool:
    """Whether the disk mounted on `folder` may be written in the format `epoch`, which it notes.

    False, and nothing is changed, when a newer one is noted there.
    """
    path = folder / NOTE
    found = _read(path)
    noted = found.get("format_epoch", 0)
    if not isinstance(noted, int) or noted > epoch:
        return False
    if noted < epoch:
        created = found.get("created", datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
        _write(path, json.dumps({"format_epoch": epoch, "created": created}) + "\n")
    return True


def _read(path: Path) -> dict[str, object]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(path: Path, text: str) -> None:
    new = path.with_name(f"{path.name}.new")
    with new.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
