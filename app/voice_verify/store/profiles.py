"""Uploaded Audio Source Profiles, and which profile applies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from voice_verify.errors import ProfileActive, ProfileExists
from voice_verify.store import audit, settings
from voice_verify.store.audit import AuditAction
from voice_verify.store.database import Database
from voice_verify.store.locks import Lock, hold
from voice_verify.store.models import ProfileRow

PACKAGED = "packaged"


@dataclass(frozen=True)
class StoredProfile:
    """`document`: the whole profile as JSON."""

    uuid: str
    name: str
    version: int
    document: str
    uploaded: datetime


@dataclass(frozen=True)
class Choice:
    """`uploaded`: uuid of the active uploaded profile; `packaged`: name of the one that applies without it.

    None where nothing was chosen.
    """

    uploaded: str | None
    packaged: str | None


class ProfileStore:
    """Who changes the choice excludes all others meanwhile; the database allows one active profile at most."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> Sequence[StoredProfile]:
        """By name, newest version first."""
        query = select(ProfileRow).order_by(ProfileRow.name, ProfileRow.version.desc())
        with self._database.reading() as session:
            return [_profile(row) for row in session.scalars(query)]

    def get(self, uuid: str) -> StoredProfile | None:
        with self._database.reading() as session:
            row = session.get(ProfileRow, uuid)
            return None if row is None else _profile(row)

    def latest(self, name: str) -> StoredProfile | None:
        """The highest version of that name."""
        query = select(ProfileRow).where(ProfileRow.name == name).order_by(ProfileRow.version.desc()).limit(1)
        with self._database.reading() as session:
            row = session.scalars(query).first()
            return None if row is None else _profile(row)

    def choice(self) -> Choice:
        with self._database.reading() as session:
            return _choice(session)

    def add(self, *, uuid: str, name: str, version: int, document: str, key_id: int | None) -> StoredProfile:
        """Raises ProfileExists."""
        row = ProfileRow(
            uuid=uuid, name=name, version=version, document=document, uploaded=datetime.now(UTC), active=False
        )
        try:
            with self._database.session() as session:
                session.add(row)
                audit.record(session, AuditAction.profile_uploaded, uuid, key_id)
        except IntegrityError as error:
            raise ProfileExists(
                f"A profile with this uuid, or version {version} of {name}, is there already",
                hint="give a changed profile a new uuid and a higher version",
            ) from error
        return _profile(row)

    def remove(self, uuid: str, *, key_id: int | None) -> bool:
        """False when there is none; raises ProfileActive."""
        with self._database.session() as session:
            hold(session, Lock.profile)
            row = session.get(ProfileRow, uuid)
            if row is None:
                return False
            if row.active:
                raise ProfileActive("The active profile cannot be removed", hint="activate another one first")
            session.delete(row)
            audit.record(session, AuditAction.profile_removed, uuid, key_id)
            return True

    def activate(self, uuid: str, *, key_id: int | None) -> Choice:
        """Make an uploaded profile the only active one; it stays as it was when there is none of that uuid."""
        with self._database.session() as session:
            hold(session, Lock.profile)
            if session.get(ProfileRow, uuid) is not None:
                _deactivate_all(session)
                session.execute(update(ProfileRow).where(ProfileRow.uuid == uuid).values(active=True))
                audit.record(session, AuditAction.profile_activated, uuid, key_id)
            return _choice(session)

    def deactivate(self, uuid: str, *, key_id: int | None) -> Choice:
        """Make an uploaded profile inactive, if it is active."""
        with self._database.session() as session:
            hold(session, Lock.profile)
            if _choice(session).uploaded == uuid:
                _deactivate_all(session)
                audit.record(session, AuditAction.profile_deactivated, uuid, key_id)
            return _choice(session)

    def choose_packaged(self, name: str | None, *, key_id: int | None) -> Choice:
        """Let the packaged profile `name` apply and no uploaded one; None is the one that the settings name."""
        with self._database.session() as session:
            hold(session, Lock.profile)
            _deactivate_all(session)
            if name is None:
                settings.remove(session, settings.PROFILE)
            else:
                settings.write(session, settings.PROFILE, {PACKAGED: name})
            audit.record(session, AuditAction.profile_activated, name or "default", key_id)
            return _choice(session)


def _choice(session: Session) -> Choice:
    uploaded = session.scalars(select(ProfileRow.uuid).where(ProfileRow.active)).first()
    return Choice(uploaded, settings.read(session, settings.PROFILE).get(PACKAGED))


def _deactivate_all(session: Session) -> None:
    session.execute(update(ProfileRow).where(ProfileRow.active).values(active=False))


def _profile(row: ProfileRow) -> StoredProfile:
    return StoredProfile(row.uuid, row.name, row.version, row.document, row.uploaded)
