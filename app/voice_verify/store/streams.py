"""Streams and uploads, running and ended, with what was enrolled and verified on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, delete, exists, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from voice_verify.errors import StreamInUse
from voice_verify.store import maintenance
from voice_verify.store.database import Database
from voice_verify.store.models import SpeakerRow, StreamEventRow, StreamRow


@dataclass(frozen=True)
class StreamEvent:
    """Equal answers in a row about one speaker: `count` of them from `first` to `last`; the figures are the last's.

    `kind`: `enrolment` or `verification`; `pseudonym`: of the speaker, empty when there was none of that name.
    """

    kind: str
    pseudonym: str
    first: datetime
    last: datetime
    count: int
    outcome: str
    reason: str
    score: float | None
    log_likelihood_ratio: float | None
    net_speech_s: float
    profile: str | None


@dataclass(frozen=True)
class Call:
    """What is known of the call that a stream is a leg of; `pbx`: uuid of the instance that it came from."""

    call_id: str | None = None
    caller: str | None = None
    callee: str | None = None
    participant: str | None = None
    pbx: str | None = None


NO_CALL = Call()


@dataclass(frozen=True)
class EndedStream:
    uuid: str
    owner: str
    source: str
    peer: str | None
    codec: str | None
    started: datetime
    ended: datetime
    end_reason: str
    net_speech_s: float
    audio_s: float
    call_id: str | None = None
    caller: str | None = None
    callee: str | None = None
    participant: str | None = None
    pbx: str | None = None


@dataclass(frozen=True)
class Report:
    """`events`: in the order in which they began, each with the speaker as far as there still is one."""

    stream: EndedStream
    events: Sequence[tuple[str | None, StreamEvent]]


@dataclass(frozen=True)
class Position:
    """A place in the list of reports: that of the stream which started at `started`."""

    started: datetime
    uuid: str


class StreamStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self, uuid: str, owner: str, source: str, call: Call = NO_CALL) -> None:
        """Write that a stream runs, unless nothing may begin; raises MaintenanceMode and StreamInUse."""
        with self._database.session() as session:
            maintenance.admit(session)
            if session.get(StreamRow, uuid) is not None:
                raise _in_use()
            session.add(
                StreamRow(
                    uuid=uuid,
                    owner=owner,
                    source=source,
                    started=datetime.now(UTC),
                    net_speech_s=0.0,
                    audio_s=0.0,
                    **vars(call),
                )
            )
            try:
                session.flush()
            except IntegrityError as error:
                raise _in_use() from error

    def forget(self, uuid: str) -> None:
        """Take back `open`."""
        with self._database.session() as session:
            session.execute(delete(StreamRow).where(StreamRow.uuid == uuid))

    def close(self, stream: EndedStream, events: Sequence[StreamEvent]) -> None:
        """Write how the stream ended and what happened on it."""
        with self._database.session() as session:
            session.merge(StreamRow(**vars(stream)))
            session.flush()
            session.add_all(StreamEventRow(stream=stream.uuid, **vars(event)) for event in events)

    def report(self, uuid: str) -> Report | None:
        """What happened on an ended stream; None while it runs and when there was none."""
        with self._database.reading() as session:
            row = session.get(StreamRow, uuid)
            return None if row is None or row.ended is None else _reports(session, [row])[0]

    def reports(
        self,
        *,
        speaker: str | None,
        first: datetime | None,
        end: datetime | None,
        after: Position | None,
        limit: int,
    ) -> Sequence[Report]:
        """Ended streams that started from `first` until before `end`, newest first.

        With `speaker` only those on which the speaker was enrolled or verified who is enrolled under that name now.
        """
        query = select(StreamRow).where(StreamRow.ended.is_not(None))
        if speaker is not None:
            query = query.where(_about(speaker))
        if first is not None:
            query = query.where(StreamRow.started >= first)
        if end is not None:
            query = query.where(StreamRow.started < end)
        if after is not None:
            query = query.where(_behind(after))
        query = query.order_by(StreamRow.started.desc(), StreamRow.uuid.desc()).limit(limit)
        with self._database.reading() as session:
            return _reports(session, session.scalars(query).all())

    def remove_before(self, moment: datetime) -> int | None:
        """Delete what started before `moment` and has ended; how many streams that were.

        None in maintenance mode, in which nothing is removed: an inventory must find again what there was.
        """
        with self._database.session() as session:
            if maintenance.is_on(session):
                return None
            gone = session.execute(
                delete(StreamRow)
                .where(StreamRow.ended.is_not(None), StreamRow.started < moment)
                .returning(StreamRow.uuid)
            )
            return len(gone.all())


def _in_use() -> StreamInUse:
    return StreamInUse("There is or was a stream of this uuid", hint="name each stream anew, or let the service do it")


def _about(speaker: str) -> Any:
    return exists(
        select(StreamEventRow.id)
        .join(SpeakerRow, SpeakerRow.pseudonym == StreamEventRow.pseudonym)
        .where(StreamEventRow.stream == StreamRow.uuid, SpeakerRow.id == speaker)
    )


def _behind(after: Position) -> Any:
    return or_(
        StreamRow.started < after.started,
        (StreamRow.started == after.started) & (StreamRow.uuid < after.uuid),
    )


def _reports(session: Session, rows: Sequence[StreamRow]) -> list[Report]:
    found: dict[str, list[tuple[str | None, StreamEvent]]] = {row.uuid: [] for row in rows}
    for event, speaker in session.execute(_events(list(found))).tuples():
        found[event.stream].append((speaker, StreamEvent(**_columns(event, StreamEvent))))
    return [Report(EndedStream(**_columns(row, EndedStream)), found[row.uuid]) for row in rows]


def _events(streams: Sequence[str]) -> Select[StreamEventRow, str]:
    return (
        select(StreamEventRow, SpeakerRow.id)
        .outerjoin(SpeakerRow, SpeakerRow.pseudonym == StreamEventRow.pseudonym)
        .where(StreamEventRow.stream.in_(streams))
        .order_by(StreamEventRow.first, StreamEventRow.id)
    )


def _columns(row: StreamRow | StreamEventRow, kind: type[StreamEvent] | type[EndedStream]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in kind.__dataclass_fields__}
