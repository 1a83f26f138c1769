"""Locks that hold for all processes on one database, until the end of the transaction that took them."""

from __future__ import annotations

from enum import IntEnum

from sqlalchemy import delete, false, func, select
from sqlalchemy.orm import Session

from voice_verify.store.models import SettingRow


class Lock(IntEnum):
    """What is locked; the numbers are keys of PostgreSQL's advisory locks and never change."""

    maintenance = 7_301_001
    profile = 7_301_002


def hold(session: Session, lock: Lock, *, shared: bool = False) -> None:
    """Wait for `lock` and hold it; must be the first thing that happens in `session`.

    Those who share it exclude only those who do not. On SQLite every lock is the one right to write, so what is read
    after this stays true until the end of the transaction there, too.
    """
    if session.get_bind().dialect.name == "sqlite":
        # Deletes nothing; that it may is what takes the right to write.
        session.execute(delete(SettingRow).where(false()))
    elif shared:
        session.execute(select(func.pg_advisory_xact_lock_shared(lock)))
    else:
        session.execute(select(func.pg_advisory_xact_lock(lock)))
