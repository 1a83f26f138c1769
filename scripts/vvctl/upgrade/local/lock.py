"""The lock of a machine: a file with the id of the upgrade that has it, which a killed vvctl keeps."""

from __future__ import annotations

import getpass
import json
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vvctl.upgrade.errors import LockedByAnother
from vvctl.upgrade.local.home import Home


def holder(home: Home) -> str | None:
    """Id of the upgrade that has it."""
    found = _read(home)
    return found["upgrade"] if found is not None else None


def take(home: Home, upgrade_id: str) -> None:
    """Raises LockedByAnother."""
    written = _written(home, upgrade_id)
    by = f"{getpass.getuser()}@{os.uname().nodename}"
    since = datetime.now(UTC).isoformat(timespec="seconds")
    written.write_text(json.dumps({"upgrade": upgrade_id, "by": by, "since": since}), encoding="utf-8")
    try:
        # A link appears whole or not at all, and only where there is none.
        home.lock.hardlink_to(written)
    except FileExistsError:
        found = _read(home)
        if found is not None and found["upgrade"] != upgrade_id:
            raise LockedByAnother(
                f"{found['by']} has been upgrading this machine since {found['since']}",
                hint="wait for the end, or ask; `vvctl upgrade status` there tells how far it is",
            ) from None
    finally:
        written.unlink(missing_ok=True)


def give_back(home: Home, upgrade_id: str) -> None:
    """Only what this upgrade has."""
    _written(home, upgrade_id).unlink(missing_ok=True)
    if holder(home) == upgrade_id:
        home.lock.unlink(missing_ok=True)


def _written(home: Home, upgrade_id: str) -> Path:
    """The lock before it is in its place."""
    return home.lock.with_name(f"{home.lock.name}.{upgrade_id}")


def _read(home: Home) -> dict[str, Any] | None:
    with suppress(FileNotFoundError):
        found: dict[str, Any] = json.loads(home.lock.read_text(encoding="utf-8"))
        return found
    return None
