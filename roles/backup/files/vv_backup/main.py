"""`vv-backup`: run by systemd as the service's account; `systemctl start vv-backup` makes a backup now."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from .shelf import NoRoom, Shelf

SETTINGS = "/usr/lib/voice-verify/backup.json"


@dataclass(frozen=True)
class Settings:
    """What the image was built with."""

    folder: str
    keep: int
    reserve_percent: int
    recipient_file: str
    command: str


def main() -> int:
    """Exit status 1 when there is no new backup."""
    return make(Settings(**json.loads(Path(SETTINGS).read_text(encoding="utf-8"))))


def make(settings: Settings) -> int:
    """Make one; 1 when that failed, and the earlier ones are untouched."""
    shelf = Shelf(Path(settings.folder), keep=settings.keep, reserve_percent=settings.reserve_percent)
    recipient = Path(settings.recipient_file).read_text(encoding="utf-8").strip()
    unfinished = shelf.unfinished(datetime.now(UTC))
    try:
        room = shelf.make_room()
    except NoRoom as error:
        print(f"BACKUP: {error}; enlarge it, or move backups away", file=sys.stderr)
        return 1
    done = subprocess.run(
        [settings.command, "backup", "--recipient", recipient, str(unfinished)],
        check=False,
        # However much more it is than the last time, the kernel stops it before calls lack room.
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)),
    )
    if done.returncode:
        # It takes away itself what it began; not when it was killed.
        unfinished.unlink(missing_ok=True)
        print("BACKUP: none was made; the earlier ones are untouched", file=sys.stderr)
        return 1
    path = shelf.finish(unfinished)
    print(f"backup: {path}, {path.stat().st_size / 1e6:.1f} MB; {len(shelf.backups())} kept")
    return 0
