"""API keys as they are stored: by the SHA-256 of the key, never the key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import select

from voice_verify.errors import KeyNotFound, LastOperatorKey
from voice_verify.store import audit
from voice_verify.store.audit import AuditAction
from voice_verify.store.database import Database
from voice_verify.store.models import ApiKeyRow

OPERATOR = "operator"


@dataclass(frozen=True)
class StoredKey:
    """`roles`: names of roles; `sha256`: lower-case hex; moments in UTC; `revoked`: None while the key is valid."""

    id: int
    name: str
    roles: tuple[str, ...]
    sha256: str
    created: datetime
    revoked: datetime | None


class KeyStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, name: str, roles: Sequence[str], sha256: str, *, by: int | None) -> tuple[StoredKey, bool]:
        """Store a key and tell whether it is new; one with the same hash stays as it is, also when it is revoked.

        `by`: the API key that asks, for the audit.
        """
        with self._database.session() as session:
            row = session.scalars(select(ApiKeyRow).where(ApiKeyRow.sha256 == sha256)).first()
            if row is not None:
                return _key(row), False
            row = ApiKeyRow(name=name, roles=sorted(roles), sha256=sha256, created=datetime.now(UTC))
            session.add(row)
            session.flush()
            audit.record(session, AuditAction.key_created, str(row.id), by, name=name, roles=row.roles)
            return _key(row), True

    def find(self, sha256: str) -> StoredKey | None:
        """The valid key with that hash."""
        query = select(ApiKeyRow).where(ApiKeyRow.sha256 == sha256, ApiKeyRow.revoked.is_(None))
        with self._database.reading() as session:
            row = session.scalars(query).first()
            return None if row is None else _key(row)

    def valid(self, hashes: Sequence[str]) -> set[str]:
        """Those of `hashes` that a valid key has."""
        query = select(ApiKeyRow.sha256).where(ApiKeyRow.sha256.in_(hashes), ApiKeyRow.revoked.is_(None))
        with self._database.reading() as session:
            return set(session.scalars(query))

    def all(self) -> Sequence[StoredKey]:
        """Every key, oldest first, also those that are revoked."""
        with self._database.reading() as session:
            return [_key(row) for row in session.scalars(select(ApiKeyRow).order_by(ApiKeyRow.id))]

    def revoke(self, key: int, *, by: int | None) -> None:
        """Make the key invalid for ever; one that is so already stays as it is. `by`: as in `add`.

        Raises KeyNotFound, and LastOperatorKey when no other valid key is an operator's.
        """
        with self._database.session() as session:
            row = session.get(ApiKeyRow, key)
            if row is None:
                raise KeyNotFound(f"There is no key {key}", hint="GET /api/v2/keys lists the keys")
            # All are locked, so that of two revocations at once the second one sees what the first one left.
            valid = session.scalars(
                select(ApiKeyRow)
                .where(ApiKeyRow.revoked.is_(None))
                .order_by(ApiKeyRow.id)
                .with_for_update()
                .execution_options(populate_existing=True)
            ).all()
            if row not in valid:
                return
            if OPERATOR in row.roles and not any(OPERATOR in other.roles for other in valid if other is not row):
                raise LastOperatorKey("This is the last valid operator key", hint="make another one first")
            row.revoked = datetime.now(UTC)
            audit.record(session, AuditAction.key_revoked, str(key), by, name=row.name)


def _key(row: ApiKeyRow) -> StoredKey:
    return StoredKey(row.id, row.name, tuple(row.roles), row.sha256, row.created, row.revoked)
