"""What is kept, in SQLite or PostgreSQL through the same code; what tells who somebody is, encrypted."""

from __future__ import annotations

from voice_verify.store.audit import AuditAction, AuditStore
from voice_verify.store.data_key import open_vault
from voice_verify.store.database import Database, SchemaState
from voice_verify.store.keys import KeyStore, StoredKey
from voice_verify.store.speakers import Consent, EnrolledSpeaker, SpeakerState, SpeakerStore, Voiceprint
from voice_verify.store.vault import Vault

__all__ = [
    "AuditAction",
    "AuditStore",
    "Consent",
    "Database",
    "EnrolledSpeaker",
    "KeyStore",
    "SchemaState",
    "SpeakerState",
    "SpeakerStore",
    "StoredKey",
    "Vault",
    "Voiceprint",
    "open_vault",
]
