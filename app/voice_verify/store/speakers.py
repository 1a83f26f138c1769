"""Enrolled speakers and their voiceprints."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, and_, delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from voice_verify.errors import Undecipherable
from voice_verify.store import audit, usage
from voice_verify.store.audit import AuditAction
from voice_verify.store.database import Database
from voice_verify.store.models import SpeakerRow, StreamEventRow, StreamRow, VoiceprintRow
from voice_verify.store.vault import Vault

Row = TypeVar("Row", SpeakerRow, VoiceprintRow)

STORED_FLOAT = np.dtype("<f4")
PLACE = "voiceprint"


class SpeakerState(StrEnum):
    """Whether a speaker may be verified; whoever opted out stays so when the voiceprint expires, too."""

    enrolled = "enrolled"
    opted_out = "opted_out"
    expired = "expired"


@dataclass(frozen=True)
class Voiceprint:
    """`embedding`: float32, L2-normalised; `model`: identity of the model that made it; `takes`: enrolments in it."""

    embedding: NDArray[np.float32]
    net_speech_s: float
    snr_db: float | None
    clipped_share: float
    model: str
    takes: int = 1


@dataclass(frozen=True)
class Consent:
    """When it was given, and where it is on record."""

    given_at: datetime
    reference: str | None


@dataclass(frozen=True)
class EnrolledSpeaker:
    """A speaker with the voiceprint in force; moments are in UTC.

    `pseudonym` stands for the speaker in reports and logs. `opted_out`: since when, None for most.
    """

    id: str
    pseudonym: str
    voiceprint: Voiceprint
    created: datetime
    updated: datetime
    consent: Consent | None = None
    opted_out: datetime | None = None
    expires: datetime | None = None

    def state(self, now: datetime) -> SpeakerState:
        if self.opted_out is not None:
            return SpeakerState.opted_out
        if self.expires is not None and self.expires <= now:
            return SpeakerState.expired
        return SpeakerState.enrolled


# Changes whenever anything does that a decision depends on.
Stamp = tuple[str, datetime, datetime | None, datetime | None]

# Makes the new voiceprint of the one there is, under a lock of the speaker; what it raises undoes everything.
MakeVoiceprint = Callable[[EnrolledSpeaker | None], Voiceprint]
# Told which speaker has changed, after the commit; None stands for all of them.
ChangeListener = Callable[[str | None], None]


class SpeakerStore:
    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault
        self._listeners: list[ChangeListener] = []

    def watch(self, listener: ChangeListener) -> None:
        """Call `listener` after each change that this process makes, from the thread that made it."""
        self._listeners.append(listener)

    def changed(self, speaker: str | None) -> None:
        """Tell the listeners that `speaker` has changed; None stands for all."""
        for listener in self._listeners:
            listener(speaker)

    def get(self, speaker: str) -> EnrolledSpeaker | None:
        """The speaker, or None when nobody is enrolled under that name.

        Raises Undecipherable, here and wherever a voiceprint is read.
        """
        with self._database.reading() as session:
            row = session.get(SpeakerRow, speaker)
            return None if row is None else read_speaker(row, self._vault)

    def stamps(self, speakers: Sequence[str]) -> dict[str, Stamp]:
        """`stamp_of` each of `speakers` who is enrolled now, in one query."""
        row = SpeakerRow
        query = select(row.id, row.pseudonym, row.updated, row.opted_out, row.expires).where(row.id.in_(speakers))
        with self._database.reading() as session:
            return {
                speaker: (pseudonym, updated, opted_out, expires)
                for speaker, pseudonym, updated, opted_out, expires in session.execute(query)
            }

    def page(self, *, after: str | None, limit: int, state: SpeakerState | None = None) -> Sequence[EnrolledSpeaker]:
        """At most `limit` speakers that follow `after` in the order of the database, of one state or of all."""
        query = select(SpeakerRow).order_by(SpeakerRow.id).limit(limit)
        if after is not None:
            query = query.where(SpeakerRow.id > after)
        if state is not None:
            query = query.where(_is(state, datetime.now(UTC)))
        with self._database.reading() as session:
            return [read_speaker(row, self._vault) for row in session.scalars(query)]

    def enrol(self, speaker: str, make: MakeVoiceprint) -> EnrolledSpeaker:
        """Store what `make` makes of the speaker as enrolled now, and count the enrolment; on disk when this returns.

        Enrolments of one speaker at once happen one after the other. An expiry that has passed is forgotten.
        """
        now = datetime.now(UTC)
        with self._database.session() as session:
            # Locks the row before it is read, also when it is new.
            row = _upsert(
                session,
                SpeakerRow,
                {"id": speaker, "pseudonym": secrets.token_hex(16), "created": now, "updated": now},
                replace=["updated"],
            )
            stored = session.get(VoiceprintRow, speaker)
            known = None if stored is None else _speaker(row, stored, self._vault)
            values = voiceprint_values(speaker, make(known), self._vault)
            made = _upsert(session, VoiceprintRow, values, replace=[name for name in values if name != "speaker_id"])
            if row.expires is not None and row.expires <= now:
                row.expires = None
            usage.count(session, enrolments=1)
            enrolled = _speaker(row, made, self._vault)
        self.changed(speaker)
        return enrolled

    def update(
        self, speaker: str, change: Callable[[EnrolledSpeaker], EnrolledSpeaker], *, key_id: int | None
    ) -> EnrolledSpeaker | None:
        """Store consent, opt-out and expiry as `change` has them; None when nobody is enrolled under that name.

        `key_id`: the API key that asks, for the audit.
        """
        with self._database.session() as session:
            row = session.get(SpeakerRow, speaker, with_for_update={"of": SpeakerRow})
            if row is None:
                return None
            before = read_speaker(row, self._vault)
            after = change(before)
            row.consent_given = None if after.consent is None else after.consent.given_at
            row.consent_reference = None if after.consent is None else after.consent.reference
            row.opted_out, row.expires = after.opted_out, after.expires
            if (before.opted_out is None) != (after.opted_out is None):
                action = AuditAction.speaker_opted_out if after.opted_out else AuditAction.speaker_opted_in
                audit.record(session, action, self._vault.digest(speaker), key_id)
        self.changed(speaker)
        return after

    def remove(self, speaker: str, *, key_id: int | None) -> bool:
        """Delete the speaker, the voiceprint and what ties both to the reports; False when nobody was enrolled.

        `key_id`: the API key that asks, for the audit.
        """
        with self._database.session() as session:
            removed = delete(SpeakerRow).where(SpeakerRow.id == speaker).returning(SpeakerRow.pseudonym)
            pseudonym = session.scalars(removed).first()
            if pseudonym is None:
                return False
            # Who called is a trace, too.
            calls = select(StreamEventRow.stream).where(StreamEventRow.pseudonym == pseudonym)
            names = {"call_id": None, "caller": None, "callee": None, "participant": None}
            session.execute(update(StreamRow).where(StreamRow.uuid.in_(calls)).values(names))
            audit.record(session, AuditAction.speaker_deleted, self._vault.digest(speaker), key_id)
        self._database.scrub()
        self.changed(speaker)
        return True


def stamp_of(speaker: EnrolledSpeaker) -> Stamp:
    """To be compared with that of another moment."""
    return speaker.pseudonym, speaker.updated, speaker.opted_out, speaker.expires


def read_speaker(row: SpeakerRow, vault: Vault) -> EnrolledSpeaker:
    """The speaker of a row with its voiceprint decrypted; raises Undecipherable."""
    return _speaker(row, row.voiceprint, vault)


def voiceprint_values(speaker: str, voiceprint: Voiceprint, vault: Vault) -> dict[str, object]:
    """The columns of a voiceprint, encrypted."""
    clear = voiceprint.embedding.astype(STORED_FLOAT).tobytes()
    return {
        "speaker_id": speaker,
        "embedding": sealed_embedding(speaker, clear, voiceprint.model, vault),
        "key_id": vault.key_id,
        "net_speech_s": voiceprint.net_speech_s,
        "snr_db": voiceprint.snr_db,
        "clipped_share": voiceprint.clipped_share,
        "model": voiceprint.model,
        "takes": voiceprint.takes,
    }


def sealed_embedding(speaker: str, clear: bytes, model: str, vault: Vault) -> bytes:
    """An embedding encrypted for the voiceprint of this speaker by this model, and for no other."""
    return vault.seal(clear, PLACE, speaker, model)


def _speaker(row: SpeakerRow, stored: VoiceprintRow, vault: Vault) -> EnrolledSpeaker:
    return EnrolledSpeaker(
        id=row.id,
        pseudonym=row.pseudonym,
        voiceprint=Voiceprint(
            embedding=np.frombuffer(embedding_of(stored, vault), dtype=STORED_FLOAT).astype(np.float32),
            net_speech_s=stored.net_speech_s,
            snr_db=stored.snr_db,
            clipped_share=stored.clipped_share,
            model=stored.model,
            takes=stored.takes,
        ),
        created=row.created,
        updated=row.updated,
        consent=None if row.consent_given is None else Consent(row.consent_given, row.consent_reference),
        opted_out=row.opted_out,
        expires=row.expires,
    )


def embedding_of(stored: VoiceprintRow, vault: Vault) -> bytes:
    """The embedding of a row in clear, as it was stored; raises Undecipherable."""
    if stored.key_id == "":
        # From before voiceprints were encrypted; the migration that follows encrypts it.
        return stored.embedding
    if stored.key_id != vault.key_id:
        raise Undecipherable(
            f"A voiceprint was encrypted with the data key {stored.key_id}, and this service has {vault.key_id}",
            hint="put the right file where VV_DATA_KEY_FILE says and start again",
        )
    return vault.open(stored.embedding, PLACE, stored.speaker_id, stored.model)


def _is(state: SpeakerState, now: datetime) -> ColumnElement[bool]:
    if state is SpeakerState.opted_out:
        return SpeakerRow.opted_out.is_not(None)
    if state is SpeakerState.expired:
        return and_(SpeakerRow.opted_out.is_(None), SpeakerRow.expires <= now)
    return and_(SpeakerRow.opted_out.is_(None), or_(SpeakerRow.expires.is_(None), SpeakerRow.expires > now))


def _upsert(session: Session, table: type[Row], values: dict[str, object], *, replace: Sequence[str]) -> Row:
    """Insert `values`, or set the columns `replace` of the row that has the same primary key; returns the row."""
    # SQLAlchemy has no common form of ON CONFLICT; both dialects' own forms are alike.
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    statement = dialect.insert(table).values(values)
    stored: Row = session.scalars(
        statement.on_conflict_do_update(
            index_elements=list(table.__table__.primary_key),
            set_={column: statement.excluded[column] for column in replace},
        ).returning(table),
        execution_options={"populate_existing": True},
    ).one()
    return stored
