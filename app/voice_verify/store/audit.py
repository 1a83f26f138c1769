"""Who did what that cannot be undone or that others must know of; never a speaker's name or voice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from voice_verify.store.database import Database
from voice_verify.store.models import AuditRow


class AuditAction(StrEnum):
    """What is put on record. Speakers are its subjects by Vault.digest, all else by identifier."""

    speaker_deleted = "speaker_deleted"
    speaker_opted_out = "speaker_opted_out"
    speaker_opted_in = "speaker_opted_in"
    key_created = "key_created"
    key_revoked = "key_revoked"
    backup_made = "backup_made"
    backup_restored = "backup_restored"
    snapshot_exported = "snapshot_exported"
    snapshot_imported = "snapshot_imported"
    maintenance_entered = "maintenance_entered"
    maintenance_left = "maintenance_left"
    streams_forced_off = "streams_forced_off"
    profile_uploaded = "profile_uploaded"
    profile_removed = "profile_removed"
    profile_activated = "profile_activated"
    profile_deactivated = "profile_deactivated"
    pbx_created = "pbx_created"
    pbx_changed = "pbx_changed"
    pbx_removed = "pbx_removed"
    licence_installed = "licence_installed"
    media_secret_set = "media_secret_set"  # noqa: S105
    media_secret_removed = "media_secret_removed"  # noqa: S105


@dataclass(frozen=True)
class AuditRecord:
    """`key_id`: the API key that did it; None for the service itself and the command line."""

    at: datetime
    key_id: int | None
    action: str
    subject: str
    detail: dict[str, Any]


def record(session: Session, action: AuditAction, subject: str, key_id: int | None, **detail: Any) -> None:
    """Put on record what happens in this transaction; both are committed, or neither."""
    session.add(AuditRow(at=datetime.now(UTC), key_id=key_id, action=action, subject=subject, detail=detail))


def latest(session: Session, action: AuditAction, subjects: Sequence[str]) -> dict[str, datetime]:
    """When `action` last happened to each of `subjects` to which it did."""
    query = (
        select(AuditRow.subject, func.max(AuditRow.at, type_=AuditRow.at.type).label("at"))
        .where(AuditRow.action == action, AuditRow.subject.in_(subjects))
        .group_by(AuditRow.subject)
    )
    return {row.subject: row.at for row in session.execute(query)}


class AuditStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, action: AuditAction, subject: str, key_id: int | None, **detail: Any) -> None:
        """Put on record what has happened outside of any transaction."""
        with self._database.session() as session:
            record(session, action, subject, key_id, **detail)

    def all(self) -> Sequence[AuditRecord]:
        """Every record, oldest first."""
        with self._database.reading() as session:
            return [
                AuditRecord(row.at, row.key_id, row.action, row.subject, row.detail)
                for row in session.scalars(select(AuditRow).order_by(AuditRow.id))
            ]
