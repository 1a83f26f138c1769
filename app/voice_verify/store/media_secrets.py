"""What media protocols sign their connections with; encrypted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import select

from voice_verify.store import audit
from voice_verify.store.audit import AuditAction
from voice_verify.store.database import Database
from voice_verify.store.models import MediaSecretRow
from voice_verify.store.vault import Vault

PLACE = "media secret"


@dataclass(frozen=True)
class StoredMediaSecret:
    """`name`: the account or the key that a connection names. The secret itself is only for checking signatures."""

    protocol: str
    name: str
    updated: datetime


class MediaSecretStore:
    """`key_id` is the API key that asks, for the audit."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    def all(self) -> Sequence[StoredMediaSecret]:
        """By protocol and name."""
        query = select(MediaSecretRow).order_by(MediaSecretRow.protocol, MediaSecretRow.name)
        with self._database.reading() as session:
            return [_stored(row) for row in session.scalars(query)]

    def of(self, protocol: str) -> dict[str, str]:
        """The secrets of a protocol in clear, by name; raises Undecipherable."""
        query = select(MediaSecretRow).where(MediaSecretRow.protocol == protocol)
        with self._database.reading() as session:
            return {
                row.name: self._vault.open(row.secret, PLACE, row.protocol, row.name).decode()
                for row in session.scalars(query)
            }

    def put(self, protocol: str, name: str, secret: str, *, key_id: int | None) -> StoredMediaSecret:
        row = MediaSecretRow(
            protocol=protocol,
            name=name,
            secret=self._vault.seal(secret.encode(), PLACE, protocol, name),
            updated=datetime.now(UTC),
        )
        with self._database.session() as session:
            stored = _stored(session.merge(row))
            audit.record(session, AuditAction.media_secret_set, f"{protocol}:{name}", key_id)
        return stored

    def remove(self, protocol: str, name: str, *, key_id: int | None) -> bool:
        """False when there is no such secret."""
        with self._database.session() as session:
            row = session.get(MediaSecretRow, (protocol, name))
            if row is None:
                return False
            session.delete(row)
            audit.record(session, AuditAction.media_secret_removed, f"{protocol}:{name}", key_id)
            return True


def _stored(row: MediaSecretRow) -> StoredMediaSecret:
    return StoredMediaSecret(row.protocol, row.name, row.updated)
