"""Licences that were put in force over the API, and how late it is at least."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from voice_verify.store import audit, settings
from voice_verify.store.audit import AuditAction
from voice_verify.store.database import Database
from voice_verify.store.locks import Lock, hold
from voice_verify.store.models import LicenceRow

AT_LEAST = "at_least"


@dataclass(frozen=True)
class StoredLicences:
    """`documents`: as they were put, the last one first. `at_least`: a lower bound of the time, None without any."""

    documents: tuple[str, ...]
    at_least: datetime | None


class LicenceStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self) -> StoredLicences:
        with self._database.reading() as session:
            query = select(LicenceRow.document).order_by(LicenceRow.sequence.desc())
            at_least = settings.read(session, settings.LICENCE_TIME).get(AT_LEAST)
            return StoredLicences(
                documents=tuple(session.scalars(query)),
                at_least=None if at_least is None else datetime.fromisoformat(at_least),
            )

    def put(self, licence_id: str, document: str, *, key_id: int | None) -> None:
        """Make it the last one; one that is there already becomes the last one again."""
        with self._database.session() as session:
            hold(session, Lock.licence)
            last = session.scalar(select(func.max(LicenceRow.sequence))) or 0
            session.merge(LicenceRow(id=licence_id, document=document, sequence=last + 1))
            audit.record(session, AuditAction.licence_installed, licence_id, key_id)

    def keep_time(self, at_least: datetime) -> None:
        """Two processes may both do so: it never goes back."""
        with self._database.session() as session:
            stored = settings.read(session, settings.LICENCE_TIME).get(AT_LEAST)
            if stored is None or datetime.fromisoformat(stored) < at_least:
                settings.write(session, settings.LICENCE_TIME, {AT_LEAST: at_least.isoformat()})
