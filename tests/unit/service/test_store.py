from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from voice_verify.errors import DatabaseUnavailable, StartError
from voice_verify.store import Database, KeyStore, SpeakerStore, Voiceprint

VOICEPRINT = Voiceprint(np.linspace(-1, 1, 192, dtype=np.float32), 21.0, None, 0.25, "0" * 64)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    database = Database(f"sqlite:///{tmp_path}/folder/vv.db")
    database.migrate()
    return database


def test_migrating_again_changes_nothing(database: Database) -> None:
    assert database.migrate() == database.state()
    assert database.state().is_current


def test_an_empty_database_is_not_current(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/empty.db")
    assert not database.state().is_current
    with pytest.raises(DatabaseUnavailable, match="not migrated"):
        SpeakerStore(database).get("anna")


def test_gives_back_what_was_stored(database: Database) -> None:
    stored = SpeakerStore(database).put("anna", VOICEPRINT)
    found = SpeakerStore(database).get("anna")
    assert found is not None
    np.testing.assert_array_equal(found.voiceprint.embedding, VOICEPRINT.embedding)
    assert found.voiceprint.embedding.dtype == np.float32
    assert (found.voiceprint.snr_db, found.voiceprint.clipped_share) == (None, 0.25)
    assert (found.created, found.updated) == (stored.created, stored.updated)
    assert found.created.tzinfo is not None


def test_two_enrolments_of_one_speaker_at_once_both_succeed(database: Database) -> None:
    store = SpeakerStore(database)
    threads = [threading.Thread(target=store.put, args=("anna", VOICEPRINT)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [speaker.id for speaker in store.page(after=None, limit=10)] == ["anna"]


def test_deleting_a_speaker_deletes_the_voiceprint(database: Database) -> None:
    store = SpeakerStore(database)
    store.put("anna", VOICEPRINT)
    assert store.remove("anna")
    assert not store.remove("anna")
    with database.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM voiceprints").scalar() == 0


def test_pages_follow_each_other(database: Database) -> None:
    store = SpeakerStore(database)
    for name in ("c", "a", "b"):
        store.put(name, VOICEPRINT)
    assert [speaker.id for speaker in store.page(after=None, limit=2)] == ["a", "b"]
    assert [speaker.id for speaker in store.page(after="b", limit=2)] == ["c"]


def test_a_key_is_stored_once(database: Database) -> None:
    store = KeyStore(database)
    first, is_new = store.add("one", ["viewer"], "a" * 64)
    again, is_new_again = store.add("two", ["operator"], "a" * 64)
    assert (is_new, is_new_again) == (True, False)
    assert first == again == store.find("a" * 64)
    assert store.find("b" * 64) is None


@pytest.mark.parametrize("url", ["mysql://host/db", "no url", ""])
def test_refuses_other_databases(url: str) -> None:
    with pytest.raises(StartError):
        Database(url)


def test_a_database_that_is_away_says_when_to_try_again(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailable) as raised:
        Database(f"postgresql+psycopg:///vv?host={tmp_path}").state()
    assert raised.value.retry_after_s
