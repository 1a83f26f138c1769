from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from voice_verify.errors import DatabaseUnavailable, LastOperatorKey, StartError, Undecipherable
from voice_verify.store import (
    AuditStore,
    Consent,
    Database,
    EnrolledSpeaker,
    KeyStore,
    SpeakerState,
    SpeakerStore,
    Vault,
    Voiceprint,
)

VOICEPRINT = Voiceprint(np.linspace(-1, 1, 192, dtype=np.float32), 21.0, None, 0.25, "0" * 64)
VAULT = Vault(bytes(32))


@pytest.fixture
def database(tmp_path: Path) -> Database:
    database = Database(f"sqlite:///{tmp_path}/folder/vv.db")
    database.migrate()
    return database


@pytest.fixture
def store(database: Database) -> SpeakerStore:
    return SpeakerStore(database, VAULT)


def enrol(store: SpeakerStore, speaker: str) -> EnrolledSpeaker:
    return store.enrol(speaker, lambda _: VOICEPRINT)


def test_migrating_again_changes_nothing(database: Database) -> None:
    assert database.migrate() == database.state()
    assert database.state().is_current


def test_an_empty_database_is_not_current(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/empty.db")
    assert not database.state().is_current
    with pytest.raises(DatabaseUnavailable, match="not migrated"):
        SpeakerStore(database, VAULT).get("anna")


def test_refuses_a_schema_that_it_does_not_know(database: Database) -> None:
    with database.session() as session:
        session.connection().exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StartError, match="9999"):
        database.migrate()


def test_gives_back_what_was_stored(store: SpeakerStore) -> None:
    stored = enrol(store, "anna")
    found = store.get("anna")
    assert found is not None
    np.testing.assert_array_equal(found.voiceprint.embedding, VOICEPRINT.embedding)
    assert found.voiceprint.embedding.dtype == np.float32
    assert (found.voiceprint.snr_db, found.voiceprint.clipped_share, found.voiceprint.takes) == (None, 0.25, 1)
    assert (found.created, found.updated, found.pseudonym) == (stored.created, stored.updated, stored.pseudonym)
    assert found.created.tzinfo is not None


def test_a_voiceprint_is_not_legible_in_the_files(store: SpeakerStore, tmp_path: Path) -> None:
    enrol(store, "anna")
    clear = VOICEPRINT.embedding.tobytes()
    assert not any(clear[:32] in file.read_bytes() for file in (tmp_path / "folder").iterdir())


def test_a_moved_voiceprint_is_an_error_and_never_a_wrong_one(store: SpeakerStore, database: Database) -> None:
    enrol(store, "anna")
    enrol(store, "bruno")
    with database.session() as session:
        session.connection().exec_driver_sql(
            "UPDATE voiceprints SET embedding = (SELECT embedding FROM voiceprints WHERE speaker_id = 'anna')"
        )
    assert store.get("anna") is not None
    with pytest.raises(Undecipherable, match="moved"):
        store.get("bruno")


def test_a_damaged_voiceprint_is_an_error(store: SpeakerStore, database: Database) -> None:
    enrol(store, "anna")
    with database.session() as session:
        session.connection().exec_driver_sql("UPDATE voiceprints SET embedding = x'00'")
    with pytest.raises(Undecipherable, match="damaged"):
        store.get("anna")


def test_another_data_key_is_named(store: SpeakerStore, database: Database) -> None:
    enrol(store, "anna")
    with pytest.raises(Undecipherable, match=VAULT.key_id):
        SpeakerStore(database, Vault(bytes(31) + b"x")).get("anna")


def test_enrolments_of_one_speaker_at_once_follow_each_other(store: SpeakerStore) -> None:
    def one_more(known: EnrolledSpeaker | None) -> Voiceprint:
        return replace(VOICEPRINT, takes=1 + (known.voiceprint.takes if known else 0))

    threads = [threading.Thread(target=store.enrol, args=("anna", one_more)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (only,) = store.page(after=None, limit=10)
    assert (only.id, only.voiceprint.takes) == ("anna", 8)


def test_what_refuses_an_enrolment_leaves_everything_as_it_was(store: SpeakerStore) -> None:
    before = enrol(store, "anna")

    def refuse(_: EnrolledSpeaker | None) -> Voiceprint:
        raise ValueError

    for speaker in ("anna", "bruno"):
        with pytest.raises(ValueError):  # noqa: PT011
            store.enrol(speaker, refuse)
    after = store.get("anna")
    assert after is not None
    assert after.updated == before.updated
    assert store.get("bruno") is None


def test_deleting_a_speaker_deletes_the_voiceprint_and_every_trace(
    store: SpeakerStore, database: Database, tmp_path: Path
) -> None:
    pseudonym = enrol(store, "anna-to-be-forgotten").pseudonym
    assert store.remove("anna-to-be-forgotten", key_id=7)
    assert not store.remove("anna-to-be-forgotten", key_id=7)
    with database.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM voiceprints").scalar() == 0
    for file in (tmp_path / "folder").iterdir():
        assert b"anna-to-be-forgotten" not in file.read_bytes()
        assert pseudonym.encode() not in file.read_bytes()
    (record,) = AuditStore(database).all()
    assert (record.action, record.key_id, record.detail) == ("speaker_deleted", 7, {})
    assert record.subject == VAULT.digest("anna-to-be-forgotten")


def test_opting_out_is_put_on_record(store: SpeakerStore, database: Database) -> None:
    enrol(store, "anna")
    now = datetime.now(UTC)
    for opted_out in (now, now, None):
        changed = store.update("anna", lambda known, at=opted_out: replace(known, opted_out=at), key_id=3)  # type: ignore[misc]
        assert changed is not None
        assert (changed.opted_out is not None) == (opted_out is not None)
    assert [record.action for record in AuditStore(database).all()] == ["speaker_opted_out", "speaker_opted_in"]
    assert store.update("nobody", lambda known: known, key_id=3) is None


def test_speakers_are_found_by_state(store: SpeakerStore) -> None:
    now = datetime.now(UTC)
    for speaker, values in {
        "enrolled": {"consent": Consent(now, "form 7"), "expires": now + timedelta(days=1)},
        "expired": {"expires": now - timedelta(seconds=1)},
        "opted_out": {"opted_out": now, "expires": now - timedelta(seconds=1)},
    }.items():
        enrol(store, speaker)
        store.update(speaker, lambda known, values=values: replace(known, **values), key_id=None)  # type: ignore[misc]
    for state in SpeakerState:
        (found,) = store.page(after=None, limit=10, state=state)
        assert found.id == found.state(now) == state
    assert found.consent is None
    assert (kept := store.get("enrolled")) is not None
    assert kept.consent == Consent(now, "form 7")


def test_enrolling_again_forgets_an_expiry_that_has_passed(store: SpeakerStore) -> None:
    now = datetime.now(UTC)
    later = now + timedelta(days=1)
    for expires, kept in ((now, None), (later, later)):
        enrol(store, "anna")
        store.update("anna", lambda known, at=expires: replace(known, expires=at), key_id=None)  # type: ignore[misc]
        assert enrol(store, "anna").expires == kept


def test_tells_who_listens_what_has_changed(store: SpeakerStore) -> None:
    told: list[str | None] = []
    store.watch(told.append)
    enrol(store, "anna")
    store.update("anna", lambda known: known, key_id=None)
    store.remove("anna", key_id=None)
    store.remove("anna", key_id=None)
    assert told == ["anna"] * 3


def test_pages_follow_each_other(store: SpeakerStore) -> None:
    for name in ("c", "a", "b"):
        enrol(store, name)
    assert [speaker.id for speaker in store.page(after=None, limit=2)] == ["a", "b"]
    assert [speaker.id for speaker in store.page(after="b", limit=2)] == ["c"]


def test_a_key_is_stored_once(database: Database) -> None:
    store = KeyStore(database)
    first, is_new = store.add("one", ["viewer"], "a" * 64, by=None)
    again, is_new_again = store.add("two", ["operator"], "a" * 64, by=None)
    assert (is_new, is_new_again) == (True, False)
    assert first == again == store.find("a" * 64)
    assert store.find("b" * 64) is None


def test_of_two_operator_keys_revoked_at_once_one_stays(database: Database) -> None:
    store = KeyStore(database)
    keys = [store.add(name, ["operator"], name * 64, by=None)[0].id for name in "abcd"]
    refused: list[int] = []

    def revoke(key: int) -> None:
        try:
            store.revoke(key, by=None)
        except LastOperatorKey:
            refused.append(key)

    threads = [threading.Thread(target=revoke, args=(key,)) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [key.id for key in store.all() if key.revoked is None] == refused
    assert len(refused) == 1


@pytest.mark.parametrize("url", ["mysql://host/db", "no url", ""])
def test_refuses_other_databases(url: str) -> None:
    with pytest.raises(StartError):
        Database(url)


def test_a_database_that_is_away_says_when_to_try_again(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailable) as raised:
        Database(f"postgresql+psycopg:///vv?host={tmp_path}").state()
    assert raised.value.retry_after_s
