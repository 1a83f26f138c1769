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


def test_telephony_is_off_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = settings.load()
    assert (loaded.sip_host, loaded.sip_peers, loaded.rtp_last - loaded.rtp_first) == ("", (), 350)
    monkeypatch.setenv("VV_SIP_PEERS", "192.0.2.0/24, 2001:db8::7")
    assert settings.load().sip_peers == ("192.0.2.0/24", "2001:db8::7/128")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VV_SIP_HOST", "pbx.example.com"),
        ("VV_SIP_PORT", "65536"),
        ("VV_SIP_ADVERTISED", "192.0.2"),
        ("VV_SIP_PUBLIC_PORT", "0"),
        ("VV_SIP_EDGE", "192.0.2.0/24"),
        ("VV_SIP_PEERS", "192.0.2.7/24"),
        ("VV_SIP_PEERS", "192.0.2.0/24;198.51.100.0/24"),
        ("VV_SIP_TLS_CERTIFICATE", "/nowhere/certificate.pem"),
        ("VV_SIP_TLS_KEY", __file__),
        ("VV_SIP_CA_FILE", "/nowhere/ca.pem"),
        ("VV_SIP_ACCOUNTS_FILE", "/nowhere/accounts.json"),
        ("VV_RTP_HOST", "everywhere"),
        ("VV_RTP_FIRST", "20350"),
        ("VV_RTP_FIRST", "20349"),
        ("VV_RTP_LAST", "20000"),
    ],
)
def test_refuses_telephony_that_cannot_be(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(StartError, match=r"VV_SIP|VV_RTP"):
        settings.load()


def test_systemd_hands_over_passwords_and_authorities(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert (settings.load().sip_accounts_file, settings.load().sip_ca_file) == (None, None)
    accounts = tmp_path / "voice-verify.sip-accounts"
    authorities = tmp_path / "voice-verify.pbx-authorities"
    accounts.touch()
    authorities.touch()
    assert (settings.load().sip_accounts_file, settings.load().sip_ca_file) == (accounts, authorities)


def test_a_certificate_needs_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VV_SIP_TLS_CERTIFICATE", __file__)
    with pytest.raises(StartError, match="VV_SIP_TLS_KEY"):
        settings.load()
    monkeypatch.setenv("VV_SIP_TLS_KEY", __file__)
    assert settings.load().sip_tls_key == Path(__file__)
