"""Enrolled speakers and their voiceprints."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from voice_verify.store.database import Database
from voice_verify.store.models import SpeakerRow, VoiceprintRow

Row = TypeVar("Row", SpeakerRow, VoiceprintRow)

STORED_FLOAT = np.dtype("<f4")


@dataclass(frozen=True)
class Voiceprint:
    """`embedding`: float32, L2-normalised; `model`: identity of the model that made it."""

    embedding: NDArray[np.float32]
    net_speech_s: float
    snr_db: float | None
    clipped_share: float
    model: str


@dataclass(frozen=True)
class EnrolledSpeaker:
    """A speaker with the voiceprint in force; moments are in UTC."""

    id: str
    voiceprint: Voiceprint
    created: datetime
    updated: datetime


class SpeakerStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, speaker: str) -> EnrolledSpeaker | None:
        """The speaker, or None when nobody is enrolled under that name."""
        with self._database.session() as session:
            row = session.get(SpeakerRow, speaker)
            return None if row is None else _speaker(row)

    def page(self, *, after: str | None, limit: int) -> Sequence[EnrolledSpeaker]:
        """At most `limit` speakers that follow `after` in the order of the database."""
        query = select(SpeakerRow).order_by(SpeakerRow.id).limit(limit)
        if after is not None:
            query = query.where(SpeakerRow.id > after)
        with self._database.session() as session:
            return [_speaker(row) for row in session.scalars(query)]

    def put(self, speaker: str, voiceprint: Voiceprint) -> EnrolledSpeaker:
        """Store the voiceprint, replacing an earlier one; it is on disk when this returns.

        One statement a table, so that two enrolments of one speaker at once both succeed and the later one stays.
        """
        now = datetime.now(UTC)
        with self._database.session() as session:
            created = _upsert(
                session,
                SpeakerRow,
                {"id": speaker, "pseudonym": secrets.token_hex(16), "created": now, "updated": now},
                replace=["updated"],
            ).created
            values = {
                "embedding": voiceprint.embedding.astype(STORED_FLOAT).tobytes(),
                "net_speech_s": voiceprint.net_speech_s,
                "snr_db": voiceprint.snr_db,
                "clipped_share": voiceprint.clipped_share,
                "model": voiceprint.model,
                "key_id": "",
                "takes": 1,
            }
            _upsert(session, VoiceprintRow, {"speaker_id": speaker, **values}, replace=list(values))
        return EnrolledSpeaker(speaker, voiceprint, created=created, updated=now)

    def remove(self, speaker: str) -> bool:
        """Delete the speaker and the voiceprint; False when nobody was enrolled under that name."""
        with self._database.session() as session:
            removed = session.scalars(delete(SpeakerRow).where(SpeakerRow.id == speaker).returning(SpeakerRow.id))
            return removed.first() is not None


def _upsert(session: Session, table: type[Row], values: dict[str, object], *, replace: Sequence[str]) -> Row:
    """Insert `values`, or set the columns `replace` of the row that has the same primary key; returns the row."""
    # SQLAlchemy has no common form of ON CONFLICT; both dialects' own forms are alike.
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    statement = dialect.insert(table).values(values)
    stored: Row = session.scalars(
        statement.on_conflict_do_update(
            index_elements=list(table.__table__.primary_key),
            set_={column: statement.excluded[column] for column in replace},
        ).returning(table)
    ).one()
    return stored


def _speaker(row: SpeakerRow) -> EnrolledSpeaker:
    stored = row.voiceprint
    return EnrolledSpeaker(
        id=row.id,
        voiceprint=Voiceprint(
            embedding=np.frombuffer(stored.embedding, dtype=STORED_FLOAT).astype(np.float32),
            net_speech_s=stored.net_speech_s,
            snr_db=stored.snr_db,
            clipped_share=stored.clipped_share,
            model=stored.model,
        ),
        created=row.created,
        updated=row.updated,
    )
