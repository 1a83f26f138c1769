from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from voice_verify.services import voiceprints
from voice_verify.services.voiceprints import VoiceprintCache
from voice_verify.store import Database, SpeakerStore, Vault, Voiceprint

VAULT = Vault(bytes(32))


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/vv.db"
    Database(url).migrate()
    return url


@pytest.fixture
def here(url: str) -> SpeakerStore:
    return SpeakerStore(Database(url), VAULT)


@pytest.fixture
def elsewhere(url: str) -> SpeakerStore:
    """The same database as another process has it: nobody here is told what happens there."""
    return SpeakerStore(Database(url), VAULT)


def test_answers_from_memory_once_it_was_asked(here: SpeakerStore) -> None:
    cache = VoiceprintCache(here)
    assert cache.recall("anna") is None
    assert cache.get("anna").speaker is None
    # That nobody is enrolled is remembered, too: unknown speakers are asked for just as often.
    assert cache.recall("anna") is cache.get("anna")


def test_knows_at_once_what_this_process_changes(here: SpeakerStore) -> None:
    cache = VoiceprintCache(here)
    cache.get("anna")
    _enrol(here, "anna", 1)
    first = cache.get("anna").speaker
    assert first is not None
    _enrol(here, "anna", 2)
    second = cache.get("anna").speaker
    assert second is not None
    assert not np.array_equal(first.voiceprint.embedding, second.voiceprint.embedding)
    here.remove("anna", key_id=None)
    assert cache.get("anna").speaker is None


def test_sees_what_others_changed_when_it_refreshes(here: SpeakerStore, elsewhere: SpeakerStore) -> None:
    cache = VoiceprintCache(here)
    _enrol(elsewhere, "anna", 1)
    cache.get("anna")
    cache.get("new")
    _enrol(elsewhere, "new", 1)
    elsewhere.remove("anna", key_id=None)
    assert cache.get("anna").speaker is not None
    cache.refresh()
    assert cache.get("anna").speaker is None
    assert cache.get("new").speaker is not None


def test_what_did_not_change_stays_and_is_fresh_again(here: SpeakerStore) -> None:
    cache = VoiceprintCache(here)
    _enrol(here, "anna", 1)
    entry = cache.get("anna")
    entry.checked -= voiceprints.FRESH_S
    assert cache.recall("anna") is None
    cache.refresh()
    assert cache.recall("anna") is entry


def test_asks_again_when_it_was_not_refreshed_in_time(
    here: SpeakerStore, elsewhere: SpeakerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voiceprints, "FRESH_S", 0.01)
    cache = VoiceprintCache(here)
    assert cache.get("anna").speaker is None
    _enrol(elsewhere, "anna", 1)
    time.sleep(0.02)
    assert cache.get("anna").speaker is not None


def test_lets_go_of_what_nobody_asks_for(here: SpeakerStore) -> None:
    cache = VoiceprintCache(here)
    cache.get("anna").used -= voiceprints.KEPT_S + 1
    cache.refresh()
    assert cache.recall("anna") is None


def _enrol(store: SpeakerStore, speaker: str, seed: int) -> None:
    embedding = np.random.default_rng(seed).normal(size=192).astype(np.float32)
    voiceprint = Voiceprint(embedding / np.linalg.norm(embedding), 21.0, None, 0.0, "0" * 64)
    store.enrol(speaker, lambda _: voiceprint)
