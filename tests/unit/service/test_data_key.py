"""The data key: made once, never exchanged, never open to others."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from voice_verify import settings
from voice_verify.errors import StartError
from voice_verify.store import Database, SpeakerStore, Vault, Voiceprint, open_vault

VOICEPRINT = Voiceprint(np.ones(192, np.float32), 21.0, None, 0.0, "0" * 64)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    database = Database(f"sqlite:///{tmp_path}/vv.db")
    database.migrate()
    return database


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "data-key"


def encrypt_something(database: Database, vault: Vault) -> None:
    SpeakerStore(database, vault).enrol("anna", lambda _: VOICEPRINT)


def test_is_made_on_first_use_for_its_owner_only(database: Database, file: Path) -> None:
    vault = open_vault(database, file)
    assert len(file.read_bytes()) == 32
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(file.parent.iterdir()) == [file]
    assert open_vault(database, file).key_id == vault.key_id


def test_is_made_before_there_is_a_schema(tmp_path: Path, file: Path) -> None:
    empty = Database(f"sqlite:///{tmp_path}/empty.db")
    first = open_vault(empty, file)
    empty.migrate()
    assert open_vault(empty, file).key_id == first.key_id


def test_of_services_that_start_at_once_all_get_one_key(database: Database, file: Path) -> None:
    made: list[str] = []
    threads = [threading.Thread(target=lambda: made.append(open_vault(database, file).key_id)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8
    assert len(set(made)) == 1


def test_a_missing_key_is_not_replaced_once_it_was_used(database: Database, file: Path) -> None:
    encrypt_something(database, open_vault(database, file))
    file.unlink()
    with pytest.raises(StartError, match="is missing"):
        open_vault(database, file)
    assert not file.exists()


def test_another_key_is_refused_once_one_was_used(database: Database, file: Path) -> None:
    vault = open_vault(database, file)
    encrypt_something(database, vault)
    file.write_bytes(b"k" * 32)
    with pytest.raises(StartError, match=vault.key_id):
        open_vault(database, file)
    assert file.read_bytes() == b"k" * 32


def test_a_lost_key_that_encrypted_nothing_is_replaced(database: Database, file: Path) -> None:
    first = open_vault(database, file).key_id
    file.unlink()
    second = open_vault(database, file)
    assert second.key_id != first
    encrypt_something(database, second)
    assert open_vault(database, file).key_id == second.key_id


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_refuses_a_key_of_another_length(database: Database, file: Path, length: int) -> None:
    file.parent.mkdir()
    file.write_bytes(bytes(length))
    file.chmod(0o600)
    with pytest.raises(StartError, match=f"{length} bytes"):
        open_vault(database, file)
    assert file.stat().st_size == length


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_refuses_a_key_that_others_may_read(database: Database, file: Path, mode: int) -> None:
    open_vault(database, file)
    file.chmod(mode)
    with pytest.raises(StartError) as refused:
        open_vault(database, file)
    assert refused.value.hint == f"chmod 600 {file}"


def test_without_database_the_file_is_believed_and_none_is_made(tmp_path: Path, file: Path) -> None:
    away = Database(f"postgresql+psycopg:///vv?host={tmp_path}")
    with pytest.raises(StartError, match="does not say"):
        open_vault(away, file)
    assert not file.exists()
    file.parent.mkdir()
    file.write_bytes(bytes(32))
    file.chmod(0o600)
    assert open_vault(away, file).key_id == Vault(bytes(32)).key_id


def test_comes_as_a_credential_of_systemd(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert settings.load().data_key_file == Path("build/run/data-key")
    credential = tmp_path / "data-key"
    credential.write_bytes(bytes(32))
    # As systemd's access list makes it look.
    credential.chmod(0o440)
    assert settings.load().data_key_file == credential
    assert open_vault(database, credential).key_id == Vault(bytes(32)).key_id
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    with pytest.raises(StartError, match="open to others"):
        open_vault(database, credential)
