"""Voiceprints from before encryption, and the way back for a version that knows none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from voice_verify.store.database import Database
from voice_verify.store.models import VoiceprintRow
from voice_verify.store.speakers import embedding_of, sealed_embedding
from voice_verify.store.vault import Vault

FIRST_ENCRYPTED = "0002"
"""The revision of the schema since which voiceprints are encrypted."""

BATCH = 1000
IN_CLEAR = ""


def encrypt(database: Database, vault: Vault) -> int:
    """Encrypt the voiceprints that are in clear, all or none, and tell how many; raises DatabaseUnavailable."""

    def sealed(row: VoiceprintRow) -> dict[str, Any]:
        return {"embedding": sealed_embedding(row.speaker_id, row.embedding, row.model, vault), "key_id": vault.key_id}

    with database.session() as session:
        count = _rewrite(session, VoiceprintRow.key_id == IN_CLEAR, sealed)
    if count:
        database.scrub()
    return count


def decrypt(database: Database, vault: Vault) -> int:
    """Put all voiceprints in clear, all or none, and tell how many.

    Raises Undecipherable and DatabaseUnavailable.
    """

    def clear(row: VoiceprintRow) -> dict[str, Any]:
        return {"embedding": embedding_of(row, vault), "key_id": IN_CLEAR}

    with database.session() as session:
        return _rewrite(session, VoiceprintRow.key_id != IN_CLEAR, clear)


def _rewrite(session: Session, which: ColumnElement[bool], change: Callable[[VoiceprintRow], dict[str, Any]]) -> int:
    count = 0
    while rows := _batch(session, which):
        session.execute(update(VoiceprintRow), [{"speaker_id": row.speaker_id, **change(row)} for row in rows])
        session.expunge_all()
        count += len(rows)
    return count


def _batch(session: Session, which: ColumnElement[bool]) -> Sequence[VoiceprintRow]:
    return session.scalars(select(VoiceprintRow).where(which).limit(BATCH).with_for_update()).all()
