"""Whole tables, read as of one moment and replaced in one transaction, in constant memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

from sqlalchemy import delete, insert, select, text
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.orm import Session

from voice_verify.errors import BackupDamaged
from voice_verify.store import audit, settings
from voice_verify.store.audit import AuditAction
from voice_verify.store.database import Database
from voice_verify.store.models import Base, PbxRow, ProfileRow, SettingRow, SpeakerRow, VoiceprintRow
from voice_verify.store.speakers import EnrolledSpeaker, read_speaker, voiceprint_values
from voice_verify.store.vault import Vault

Row = TypeVar("Row", bound=Base)

BATCH = 1000


class Reader:
    """All rows of the tables at one moment, however long it takes."""

    def __init__(self, session: Session, vault: Vault) -> None:
        self._session = session
        self._vault = vault

    def speakers(self) -> Iterator[EnrolledSpeaker]:
        """Raises Undecipherable."""
        for row in self._rows(SpeakerRow):
            yield read_speaker(row, self._vault)

    def profiles(self) -> Iterator[ProfileRow]:
        return self._rows(ProfileRow)

    def pbx(self) -> Iterator[PbxRow]:
        return self._rows(PbxRow)

    def settings(self) -> Iterator[SettingRow]:
        """Those that do not belong to this installation only."""
        return (row for row in self._rows(SettingRow) if row.name not in settings.OF_THIS_INSTALLATION)

    def _rows(self, table: type[Row]) -> Iterator[Row]:
        query = select(table).order_by(*table.__table__.primary_key)
        return iter(self._session.scalars(query, execution_options={"yield_per": BATCH}))


class Replacement:
    """New rows for emptied tables, of which nothing is seen before all of them are there."""

    def __init__(self, session: Session, vault: Vault) -> None:
        self._session = session
        self._vault = vault
        # PBX passwords stay with the instance that has them: no backup holds them.
        self._passwords = dict(session.execute(select(PbxRow.uuid, PbxRow.password)).tuples().all())

    def clear(self, *tables: type[Base]) -> None:
        """Empty `tables`; other writers wait from here on."""
        if self._session.get_bind().dialect.name == "postgresql":
            names = ", ".join(table.__tablename__ for table in tables)
            self._session.execute(text(f"LOCK TABLE {names} IN EXCLUSIVE MODE"))
        for table in tables:
            # Those of this installation stay; so they are told apart in the one table that has both.
            kept = [SettingRow.name.not_in(settings.OF_THIS_INSTALLATION)] if table is SettingRow else []
            self._session.execute(delete(table).where(*kept))

    def speakers(self, speakers: Sequence[EnrolledSpeaker]) -> int:
        """Add those who were not deleted since they were enrolled, and tell how many were.

        Who opted out since the enrolment is opted out again.
        """
        subjects = {speaker.id: self._vault.digest(speaker.id) for speaker in speakers}
        deleted, out, back = (
            audit.latest(self._session, action, list(subjects.values()))
            for action in (AuditAction.speaker_deleted, AuditAction.speaker_opted_out, AuditAction.speaker_opted_in)
        )
        kept = []
        for speaker in speakers:
            subject = subjects[speaker.id]
            if subject in deleted and deleted[subject] > speaker.updated:
                continue
            left = out.get(subject)
            if left is not None and left > max(speaker.updated, back.get(subject, speaker.updated)):
                speaker = replace(speaker, opted_out=speaker.opted_out or left)  # noqa: PLW2901
            kept.append(speaker)
        if kept:
            self._session.execute(insert(SpeakerRow), [_speaker_values(speaker) for speaker in kept])
            voiceprints = [voiceprint_values(speaker.id, speaker.voiceprint, self._vault) for speaker in kept]
            self._session.execute(insert(VoiceprintRow), voiceprints)
        return len(speakers) - len(kept)

    def row(self, table: type[ProfileRow | PbxRow | SettingRow], values: Mapping[str, Any]) -> None:
        if table is PbxRow:
            values = {**values, "password": self._passwords.get(values["uuid"])}
        self._session.execute(insert(table), [values])

    def record(self, action: AuditAction, subject: str, key_id: int | None, **detail: Any) -> None:
        """For the audit, in the same transaction."""
        audit.record(self._session, action, subject, key_id, **detail)


class ReplicaStore:
    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    def record(self, action: AuditAction, subject: str, key_id: int | None, **detail: Any) -> None:
        """For the audit, what has happened outside of the database."""
        with self._database.session() as session:
            audit.record(session, action, subject, key_id, **detail)

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        """Raises DatabaseUnavailable."""
        with self._database.reading() as session:
            yield Reader(session, self._vault)

    @contextmanager
    def replacing(self) -> Iterator[Replacement]:
        """All that happens in the block, or nothing.

        Raises BackupDamaged when rows contradict each other or do not fit, and DatabaseUnavailable.
        """
        try:
            with self._database.session() as session:
                yield Replacement(session, self._vault)
        except (IntegrityError, DataError) as error:
            raise BackupDamaged(
                "The file is damaged: two of its rows contradict each other",
                hint="nothing was changed; send the file as it was made, whole",
            ) from error
        self._database.scrub()


def _speaker_values(speaker: EnrolledSpeaker) -> dict[str, Any]:
    consent = speaker.consent
    return {
        "id": speaker.id,
        "pseudonym": speaker.pseudonym,
        "created": speaker.created,
        "updated": speaker.updated,
        "consent_given": None if consent is None else consent.given_at,
        "consent_reference": None if consent is None else consent.reference,
        "opted_out": speaker.opted_out,
        "expires": speaker.expires,
    }
