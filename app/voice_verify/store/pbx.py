"""PBX instances; their passwords are encrypted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from voice_verify.errors import PbxExists, Undecipherable
from voice_verify.store import audit
from voice_verify.store.audit import AuditAction
from voice_verify.store.database import Database
from voice_verify.store.models import PbxRow
from voice_verify.store.vault import Vault

PLACE = "pbx password"


@dataclass(frozen=True)
class Pbx:
    """How a PBX is reached, and as whom we register there; without `username` we do not."""

    name: str
    host: str
    port: int
    transport: str
    username: str | None


@dataclass(frozen=True)
class StoredPbx:
    """`has_password`: the password itself leaves the database only to register."""

    uuid: str
    pbx: Pbx
    has_password: bool
    created: datetime
    updated: datetime


class PbxStore:
    """`key_id` is the API key that asks, for the audit."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    def all(self) -> Sequence[StoredPbx]:
        with self._database.reading() as session:
            return [_stored(row) for row in session.scalars(select(PbxRow).order_by(PbxRow.name))]

    def with_passwords(self) -> Sequence[tuple[StoredPbx, str | None]]:
        """To register with; a password that cannot be decrypted is None, like one that is not there."""
        with self._database.reading() as session:
            rows = session.scalars(select(PbxRow).order_by(PbxRow.name)).all()
        return [(_stored(row), self._opened(row)) for row in rows]

    def get(self, uuid: str) -> StoredPbx | None:
        with self._database.reading() as session:
            row = session.get(PbxRow, uuid)
            return None if row is None else _stored(row)

    def add(self, pbx: Pbx, password: str | None, *, key_id: int | None) -> StoredPbx:
        """Raises PbxExists when the name is taken."""
        now = datetime.now(UTC)
        row = PbxRow(uuid=str(uuid4()), **vars(pbx), created=now, updated=now)
        row.password = self._sealed(row.uuid, password)
        try:
            with self._database.session() as session:
                session.add(row)
                audit.record(session, AuditAction.pbx_created, row.uuid, key_id)
        except IntegrityError as error:
            raise _taken() from error
        return _stored(row)

    def change(self, uuid: str, pbx: Pbx, password: str | None, *, key_id: int | None) -> StoredPbx | None:
        """Without `password` the stored one stays, and goes with the username; None when there is no such PBX.

        Raises PbxExists when the name is taken.
        """
        try:
            with self._database.session() as session:
                row = session.get(PbxRow, uuid, with_for_update=True)
                if row is None:
                    return None
                for column, value in vars(pbx).items():
                    setattr(row, column, value)
                if password is not None or pbx.username is None:
                    row.password = self._sealed(uuid, password)
                row.updated = datetime.now(UTC)
                audit.record(session, AuditAction.pbx_changed, uuid, key_id)
        except IntegrityError as error:
            raise _taken() from error
        return _stored(row)

    def remove(self, uuid: str, *, key_id: int | None) -> bool:
        """False when there is no such PBX."""
        with self._database.session() as session:
            row = session.get(PbxRow, uuid)
            if row is None:
                return False
            session.delete(row)
            audit.record(session, AuditAction.pbx_removed, uuid, key_id)
            return True

    def _opened(self, row: PbxRow) -> str | None:
        if row.password is None:
            return None
        try:
            return self._vault.open(row.password, PLACE, row.uuid).decode()
        except Undecipherable:
            return None

    def _sealed(self, uuid: str, password: str | None) -> bytes | None:
        return None if password is None else self._vault.seal(password.encode(), PLACE, uuid)


def _stored(row: PbxRow) -> StoredPbx:
    pbx = Pbx(row.name, row.host, row.port, row.transport, row.username)
    return StoredPbx(row.uuid, pbx, row.password is not None, row.created, row.updated)


def _taken() -> PbxExists:
    return PbxExists("There is a PBX of this name", hint="choose another name, or change that one")
