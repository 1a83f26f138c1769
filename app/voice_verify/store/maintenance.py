"""Maintenance mode, one for all processes on the database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from voice_verify.errors import MaintenanceMode, MaintenanceRequired, RestoreRunning, StreamsRunning
from voice_verify.store import audit, settings
from voice_verify.store.audit import AuditAction
from voice_verify.store.database import Database
from voice_verify.store.locks import Lock, hold
from voice_verify.store.models import StreamRow

STOPPED = "service_stopped"
"""The end of a stream whose process died."""

SUBJECT = "service"
RETRY_S = 60


@dataclass(frozen=True)
class Maintenance:
    """`since`: when the mode was last changed; `forced`: when all streams were last told to end."""

    mode: bool
    since: datetime | None
    forced: datetime | None


@dataclass(frozen=True)
class OpenStream:
    uuid: str
    owner: str
    source: str


def admit(session: Session) -> None:
    """Let a stream or an upload begin in this transaction, which must do so.

    Raises MaintenanceMode. Whoever enters maintenance mode waits for the end of the transaction.
    """
    hold(session, Lock.maintenance, shared=True)
    if _state(session).mode:
        raise MaintenanceMode(
            "The service is in maintenance mode and takes no new streams and recordings",
            hint="try again when it is over; POST /api/v2/maintenance/unlock ends it",
            retry_after_s=RETRY_S,
        )


def is_on(session: Session) -> bool:
    """Whether maintenance mode is on."""
    return _state(session).mode


class MaintenanceStore:
    """`lives` tells whether the process lives that a row names as its owner."""

    def __init__(self, database: Database, lives: Callable[[str], bool]) -> None:
        self._database = database
        self._lives = lives

    def state(self) -> Maintenance:
        with self._database.reading() as session:
            return _state(session)

    def enter(self, key: int | None) -> Maintenance:
        """Once this returns no stream can open anywhere; does nothing when the mode is on."""
        with self._database.session() as session:
            hold(session, Lock.maintenance)
            return self._change(session, True, key)

    def leave(self, key: int | None) -> Maintenance:
        """Raises RestoreRunning while somebody holds the quiet; does nothing when the mode is off."""
        with self._database.session() as session:
            hold(session, Lock.maintenance)
            self._refuse_while_quiet(session)
            return self._change(session, False, key)

    def force(self, key: int | None) -> datetime:
        """Tell all processes to end the streams that run now; they look once a second."""
        now = datetime.now(UTC)
        with self._database.session() as session:
            hold(session, Lock.maintenance)
            value = settings.read(session, settings.MAINTENANCE)
            settings.write(session, settings.MAINTENANCE, {**value, "forced": now.isoformat()})
            audit.record(session, AuditAction.streams_forced_off, SUBJECT, key)
        return now

    def open_streams(self) -> Sequence[OpenStream]:
        """The streams and uploads that run, in any process; what dead ones left open is closed."""
        with self._database.reading() as session:
            found = _unended(session)
        if all(self._lives(stream.owner) for stream in found):
            return found
        with self._database.session() as session:
            return self._open_streams(session)

    def begin_quiet(self, holder: str) -> None:
        """Let `holder` have the database for itself until `end_quiet`, or until its process is gone.

        Raises MaintenanceRequired, StreamsRunning and RestoreRunning.
        """
        with self._database.session() as session:
            hold(session, Lock.maintenance)
            if not _state(session).mode:
                raise MaintenanceRequired(
                    "This needs maintenance mode", hint="POST /api/v2/maintenance/lock, and unlock afterwards"
                )
            self._refuse_while_quiet(session)
            running = len(self._open_streams(session))
            if running:
                raise StreamsRunning(
                    f"{running} stream(s) or upload(s) are still running",
                    hint="wait until they have ended, or POST /api/v2/maintenance/force_off",
                )
            settings.write(session, settings.QUIET, {"owner": holder})

    def end_quiet(self, holder: str) -> None:
        with self._database.session() as session:
            hold(session, Lock.maintenance)
            if settings.read(session, settings.QUIET).get("owner") == holder:
                settings.remove(session, settings.QUIET)

    def _refuse_while_quiet(self, session: Session) -> None:
        holder = settings.read(session, settings.QUIET).get("owner")
        if holder is not None and self._lives(holder):
            raise RestoreRunning("A backup or a restore is running", hint="wait until it is done")

    def _open_streams(self, session: Session) -> Sequence[OpenStream]:
        found = _unended(session)
        alive = {owner: self._lives(owner) for owner in {stream.owner for stream in found}}
        dead = [owner for owner, lives in alive.items() if not lives]
        if dead:
            session.execute(
                update(StreamRow)
                .where(StreamRow.ended.is_(None), StreamRow.owner.in_(dead))
                .values(ended=datetime.now(UTC), end_reason=STOPPED)
            )
        return [stream for stream in found if alive[stream.owner]]

    def _change(self, session: Session, mode: bool, key: int | None) -> Maintenance:
        value = settings.read(session, settings.MAINTENANCE)
        if value.get("mode", False) != mode:
            now = datetime.now(UTC).isoformat()
            settings.write(session, settings.MAINTENANCE, {**value, "mode": mode, "since": now})
            action = AuditAction.maintenance_entered if mode else AuditAction.maintenance_left
            audit.record(session, action, SUBJECT, key)
        return _state(session)


def _unended(session: Session) -> Sequence[OpenStream]:
    query = select(StreamRow.uuid, StreamRow.owner, StreamRow.source).where(StreamRow.ended.is_(None))
    return [OpenStream(*row) for row in session.execute(query)]


def _state(session: Session) -> Maintenance:
    value = settings.read(session, settings.MAINTENANCE)
    return Maintenance(value.get("mode", False), _moment(value.get("since")), _moment(value.get("forced")))


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
