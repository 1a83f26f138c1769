"""What is kept: voiceprints and API keys, in SQLite or PostgreSQL through the same code."""

from __future__ import annotations

from voice_verify.store.database import Database, SchemaState
from voice_verify.store.keys import KeyStore, StoredKey
from voice_verify.store.speakers import EnrolledSpeaker, SpeakerStore, Voiceprint

__all__ = ["Database", "EnrolledSpeaker", "KeyStore", "SchemaState", "SpeakerStore", "StoredKey", "Voiceprint"]
