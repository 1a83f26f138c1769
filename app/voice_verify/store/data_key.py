"""The data key: read from its file, made on first use, and never another one than the database was encrypted with."""

from __future__ import annotations

import os
import secrets
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select, union_all
from sqlalchemy.orm import Session

from voice_verify.errors import DatabaseUnavailable, StartError
from voice_verify.store import settings
from voice_verify.store.database import Database
from voice_verify.store.models import PbxRow, VoiceprintRow
from voice_verify.store.vault import KEY_BYTES, Vault


@dataclass(frozen=True)
class _Encryption:
    """`key_id`: of the key that the database knows; `in_use`: whether anything is encrypted with it."""

    key_id: str | None
    in_use: bool


def open_vault(database: Database, file: Path) -> Vault:
    """The vault with the key in `file`, which is made when it is missing and nothing was ever encrypted.

    A database that does not answer is taken at the word of the file: each row says which key it needs.
    Raises StartError when the key is missing, unusable, unsafe, or not that of the database; nothing is changed then.
    """
    key = _read(file)
    try:
        if not database.state().is_current:
            # Nothing is encrypted before the migration that comes first; what follows opens the vault again.
            return Vault(key or _make(file))
        with database.session() as session:
            known = _encryption(session)
            if key is None and known.in_use:
                raise StartError(
                    f"the data key {known.key_id} is missing: there is no {file}",
                    hint="put the file back where VV_DATA_KEY_FILE says; without it voiceprints cannot be read",
                )
            vault = Vault(key or _make(file))
            if known.key_id != vault.key_id:
                if known.in_use:
                    raise StartError(
                        f"{file} holds the data key {vault.key_id}, but the database needs {known.key_id}",
                        hint="put the right file where VV_DATA_KEY_FILE says; nothing was changed",
                    )
                settings.write(session, settings.DATA_KEY, {"id": vault.key_id})
            return vault
    except DatabaseUnavailable as error:
        if key is None:
            raise StartError(
                f"there is no data key in {file}, and the database does not say whether it needs one",
                hint="start the database first, or put the file where VV_DATA_KEY_FILE says",
            ) from error
        return Vault(key)


def _encryption(session: Session) -> _Encryption:
    encrypted = union_all(
        select(VoiceprintRow.key_id).where(VoiceprintRow.key_id != ""),
        select(PbxRow.uuid).where(PbxRow.password.is_not(None)),
    ).limit(1)
    known = settings.read(session, settings.DATA_KEY).get("id")
    return _Encryption(known, session.execute(encrypted).first() is not None)


def _read(file: Path) -> bytes | None:
    try:
        key = file.read_bytes()
        mode = stat.S_IMODE(file.stat().st_mode)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StartError(
            f"the data key {file} cannot be read: {error.strerror}", hint="check VV_DATA_KEY_FILE"
        ) from error
    if len(key) != KEY_BYTES:
        raise StartError(
            f"the data key {file} has {len(key)} bytes instead of {KEY_BYTES}",
            hint="put the right file there; a new one would not read what the old one encrypted",
        )
    # systemd guards its credentials by the folder and an access list, which shows as a right of the group.
    if mode & 0o077 and file.parent != Path(os.environ.get("CREDENTIALS_DIRECTORY", "/nowhere")):
        raise StartError(f"the data key {file} is open to others (mode {mode:04o})", hint=f"chmod 600 {file}")
    return key


def _make(file: Path) -> bytes:
    """A new key in `file`, whole and on disk before it has its name; of two processes at once both get one key."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}.") as unnamed:
            # NamedTemporaryFile makes it with mode 0600.
            unnamed.write(secrets.token_bytes(KEY_BYTES))
            unnamed.flush()
            os.fsync(unnamed.fileno())
            with suppress(FileExistsError):
                os.link(unnamed.name, file)
        folder = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise StartError(
            f"the data key {file} cannot be made: {error.strerror}", hint="check VV_DATA_KEY_FILE"
        ) from error
    key = _read(file)
    if key is None:
        raise StartError(f"the data key {file} vanished while it was made", hint="start again")
    return key
