"""API keys as they are stored: by the SHA-256 of the key, never the key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import select

from voice_verify.store.database import Database
from voice_verify.store.models import ApiKeyRow


@dataclass(frozen=True)
class StoredKey:
    """`roles`: names of roles; `sha256`: lower-case hex; `created`: in UTC."""

    id: int
    name: str
    roles: tuple[str, ...]
    sha256: str
    created: datetime


class KeyStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, name: str, roles: Sequence[str], sha256: str) -> tuple[StoredKey, bool]:
        """Store a key and tell whether it is new; one with the same hash stays as it is."""
        with self._database.session() as session:
            row = session.scalars(select(ApiKeyRow).where(ApiKeyRow.sha256 == sha256)).first()
            if row is not None:
                return _key(row), False
            row = ApiKeyRow(name=name, roles=sorted(roles), sha256=sha256, created=datetime.now(UTC))
            session.add(row)
            session.flush()
            return _key(row), True

    def find(self, sha256: str) -> StoredKey | None:
        with self._database.session() as session:
            row = session.scalars(select(ApiKeyRow).where(ApiKeyRow.sha256 == sha256)).first()
            return None if row is None else _key(row)

    def all(self) -> Sequence[StoredKey]:
        """Every key, oldest first."""
        with self._database.session() as session:
            return [_key(row) for row in session.scalars(select(ApiKeyRow).order_by(ApiKeyRow.id))]


def _key(row: ApiKeyRow) -> StoredKey:
    return StoredKey(row.id, row.name, tuple(row.roles), row.sha256, row.created)
