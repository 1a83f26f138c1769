from __future__ import annotations

import time
from pathlib import Path

import pytest

from voice_verify.errors import InvalidRequest
from voice_verify.services.keys import KeyService, Role, digest
from voice_verify.store import Database, KeyStore


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    database = Database(f"sqlite:///{tmp_path}/vv.db")
    database.migrate()
    return KeyStore(database)


def test_a_new_key_opens_and_is_stored_as_a_hash_only(store: KeyStore) -> None:
    keys = KeyService(store)
    key, stored = keys.create("call centre", [Role.integrator, Role.viewer])
    assert key.startswith("vv_")
    assert len(key) >= 35
    assert stored.sha256 == digest(key)
    caller = keys.authenticate(key)
    assert caller is not None
    assert (caller.name, caller.roles) == ("call centre", {Role.integrator, Role.viewer})
    assert caller.may([Role.operator, Role.viewer])
    assert not caller.may([Role.operator])


def test_no_two_keys_are_alike(store: KeyStore) -> None:
    keys = KeyService(store)
    assert keys.create("a", [Role.viewer])[0] != keys.create("a", [Role.viewer])[0]


@pytest.mark.parametrize("secret", ["", "vv_", "x" * 10_000, "\u00e9", "\udc80"])
def test_an_unknown_key_opens_nothing(store: KeyStore, secret: str) -> None:
    assert KeyService(store).authenticate(secret) is None


def test_there_is_no_default_key(store: KeyStore) -> None:
    assert KeyService(store).all() == []


def test_a_hash_may_be_written_in_capitals(store: KeyStore) -> None:
    keys = KeyService(store)
    keys.accept("operator", [Role.operator], digest("vv_secret").upper())
    assert keys.authenticate("vv_secret") is not None


@pytest.mark.parametrize("sha256", ["", "abc", "g" * 64, "a" * 65])
def test_refuses_what_is_no_hash(store: KeyStore, sha256: str) -> None:
    with pytest.raises(InvalidRequest):
        KeyService(store).accept("operator", [Role.operator], sha256)


def test_what_others_revoked_is_seen_at_the_next_look(store: KeyStore) -> None:
    here, elsewhere = KeyService(store), KeyService(store)
    kept, _ = here.create("kept", [Role.operator])
    lost, stored = here.create("lost", [Role.viewer])
    for key in (kept, lost):
        here.authenticate(key)
    elsewhere.revoke(stored.id)
    assert here.recall(lost) is not None
    here.refresh()
    assert here.recall(lost) is None
    assert here.authenticate(lost) is None
    assert here.recall(kept) is not None


def test_a_key_that_was_looked_at_again_is_fresh(store: KeyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = KeyService(store)
    key, _ = keys.create("call centre", [Role.viewer])
    keys.authenticate(key)
    monkeypatch.setattr("voice_verify.services.keys.REMEMBERED_S", 0.2)
    time.sleep(0.25)
    assert keys.recall(key) is None
    keys.refresh()
    assert keys.recall(key) is not None


def test_there_is_nothing_to_look_at_before_the_first_caller(store: KeyStore) -> None:
    KeyService(store).refresh()
