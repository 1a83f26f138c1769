"""Locks that hold for all processes on one database, until the end of the transaction that took them."""

from __future__ import annotations

from enum import IntEnum

from sqlalchemy import func, select
from sqlalchemy.orm import Session


class Lock(IntEnum):
    """What is locked; the numbers are keys of PostgreSQL's advisory locks and never change."""

    maintenance = 7_301_001
    profile = 7_301_002
    licence = 7_301_003


def hold(session: Session, lock: Lock, *, shared: bool = False) -> None:
    """Wait for `lock` and hold it; those who share it exclude only those who do not.

    On SQLite every transaction that may write excludes all others anyway.
    """
    if session.get_bind().dialect.name == "sqlite":
        return
    if shared:
        session.execute(select(func.pg_advisory_xact_lock_shared(lock)))
    else:
        session.execute(select(func.pg_advisory_xact_lock(lock)))
