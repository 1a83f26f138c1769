"""A backup over the API into a new file, while calls go on."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from vvctl.backup.errors import BackupExists, BackupUnwritable
from vvctl.upgrade.appliance import Appliance


def make(appliance: Appliance, path: Path, recipient: str, follow: Callable[[int, int], None]) -> str:
    """Write a backup of this moment to `path`, and give its SHA-256; nothing is left when it fails.

    Encrypted to `recipient`, unless that is empty. Raises BackupExists, BackupUnwritable and ApplianceError.
    """
    unfinished = path.with_name(f"{path.name}.part")
    try:
        # Nobody else takes the name meanwhile; whatever kills this process leaves it empty.
        path.open("xb").close()
    except FileExistsError as error:
        raise BackupExists(f"{path} is there already", hint="name another file; none is written over") from error
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        with open(unfinished, "wb", opener=_private) as file:
            digest = appliance.fetch_backup(file, recipient=recipient, while_running=True, follow=follow)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException as error:
        unfinished.unlink(missing_ok=True)
        path.unlink()
        if isinstance(error, OSError):
            raise _unwritable(path, error) from error
        raise
    return digest


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _unwritable(path: Path, error: OSError) -> BackupUnwritable:
    return BackupUnwritable(f"{path} cannot be written: {error.strerror}", hint="name another file")
