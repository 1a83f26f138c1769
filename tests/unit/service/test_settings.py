from __future__ import annotations

import os
from pathlib import Path

import pytest

from voice_verify import settings
from voice_verify.errors import StartError


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("VV_")]:
        monkeypatch.delenv(name)


def test_the_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "vv.env"
    file.write_text("VV_UPLOAD_MB=5\nVV_MAX_STREAMS=7\n")
    monkeypatch.setenv("VV_ENV_FILE", str(file))
    monkeypatch.setenv("VV_MAX_STREAMS", "9")
    loaded = settings.load()
    assert (loaded.upload_mb, loaded.max_streams) == (5, 9)


@pytest.mark.parametrize(("written", "read"), [("", 0), ("a" * 64, 1), (f"{'a' * 64},{'b' * 64}", 2)])
def test_issuers_of_licences_stand_in_one_line(monkeypatch: pytest.MonkeyPatch, written: str, read: int) -> None:
    monkeypatch.setenv("VV_LICENCE_ISSUERS", written)
    assert len(settings.load().licence_issuers) == read
    monkeypatch.setenv("VV_LICENCE_ISSUERS", f"{written},not-a-key")
    with pytest.raises(StartError, match="VV_LICENCE_ISSUERS"):
        settings.load()


def test_names_every_wrong_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VV_UPLOAD_MB", "0")
    monkeypatch.setenv("VV_PORT", "http")
    with pytest.raises(StartError) as raised:
        settings.load()
    assert "VV_UPLOAD_MB" in raised.value.message
    assert "VV_PORT" in raised.value.message


def test_refuses_a_file_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VV_ENV_FILE", "/nowhere/vv.env")
    with pytest.raises(StartError, match=r"/nowhere/vv\.env"):
        settings.load()


def test_does_not_show_the_password_of_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VV_DATABASE_URL", "postgresql+psycopg://vv:hidden@db/vv")
    assert "hidden" not in repr(settings.load())
