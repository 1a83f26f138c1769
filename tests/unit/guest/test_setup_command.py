"""What vv-setup is told, and what it says. That it does so to a machine is tested in the role."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from vv_setup import main, notes, overrides, report
from vv_setup.apply import resolve, set_up
from vv_setup.environment import Environment, Unreadable

from .certificates import Certificates


def test_assignments_give_texts_files_and_defaults(tmp_path: Path) -> None:
    (tmp_path / "chain.pem").write_text("PEM\n")
    assert overrides.assignments(["gateway=192.0.2.1", "dns=", f"certificate=@{tmp_path}/chain.pem", "domain=a=b"]) == {
        "gateway": "192.0.2.1", "dns": "", "certificate": "PEM\n", "domain": "a=b",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["gateway"], "not KEY=VALUE"),
        (["=x"], "not KEY=VALUE"),
        (["dns=a", "dns=b"], "dns is there twice"),
        (["certificate=@/nonexistent"], "cannot be read"),
    ],
)
def test_anything_else_is_refused(arguments: list[str], reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        overrides.assignments(arguments)


def test_what_is_set_before_stays_until_it_is_unset() -> None:
    before = {"gateway": "192.0.2.1"}
    both = main.changed(before, ["set", "dns=192.0.2.53"])
    assert both == {"gateway": "192.0.2.1", "dns": "192.0.2.53"}
    assert main.changed(both, ["unset", "gateway"]) == {"dns": "192.0.2.53"}


def test_what_is_not_set_cannot_be_unset() -> None:
    with pytest.raises(Unreadable, match="set here: dns"):
        main.changed({"dns": ""}, ["unset", "gateway"])


def test_misspelt_key_is_refused_with_the_right_one(settings: dict[str, Any]) -> None:
    _, problems = resolve(settings, Environment(""), {"ssh-key": "x"})
    assert problems == ["ssh-key: there is no such property; is it ssh_key?"]


def test_table_tells_where_each_value_is_from(settings: dict[str, Any], certificates: Certificates) -> None:
    environment = Environment(
        "EC2 user data",
        {"hostname": "VV1", "dns": "192.0.2.53", "certificate": certificates.with_key},
        {"ntp": "192.0.2.9"},
    )
    local = {"dns": "192.0.2.54", "domain": "example.org"}
    values, _ = resolve(settings, environment, local)
    lines = report.table(settings["properties"], environment, local, values)
    assert {" ".join(line.split()) for line in lines} >= {
        "hostname EC2 user data vv1",
        "dns set here, hides EC2 user data 192.0.2.54",
        "domain set here example.org",
        "ntp platform 192.0.2.9",
        "plain_ports default open",
        "certificate EC2 user data 1 certificate(s), with a private key",
    }


@pytest.mark.parametrize("arguments", [["--bot"], ["set"], ["unset"], ["show", "hostname"], ["gateway=192.0.2.1"]])
def test_wrong_usage_is_told(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["vv-setup", *arguments])
    assert main.main() == main.WRONG_USAGE
    assert "usage: vv-setup" in capsys.readouterr().err


def test_service_is_told_names_limits_and_address(tmp_path: Path, settings: dict[str, Any]) -> None:
    service = tmp_path / "service.env"
    told = {
        **settings,
        "runtime_folder": str(tmp_path), "service_settings_file": str(service),
        "sizing_file": str(tmp_path / "sizing.json"), "rtp_ports": {"first": 20000, "last": 20350},
        "edge_settings_file": str(tmp_path / "sip-edge.env"), "http_port": 80, "https_port": 443,
    }  # fmt: skip
    properties = {"domain": "example.org", "advertised_address": "203.0.113.7", "tier": "3"}
    given = Environment("a test", {**properties, "audiosocket_peers": "192.0.2.8, 192.0.2.16/28"})
    outcome = set_up(settings, given, tmp_path / "root")
    assert notes.leave(told, outcome)
    assert set(service.read_text().splitlines()) == {
        "VV_MAX_STREAMS=150",
        "VV_ENGINE_THREADS=4",
        "VV_PUBLIC_WS_URL=ws://voiceverify.example.org",
        "VV_SIP_ADVERTISED=203.0.113.7",
        "VV_AUDIOSOCKET_PEERS=192.0.2.8/32,192.0.2.16/28",
        "VV_RTP_FIRST=20000",
        "VV_RTP_LAST=20349",
    }
    assert (tmp_path / "sip-edge.env").read_text() == "SIP_EDGE_ADDRESS=203.0.113.7\n"
    assert not notes.leave(told, outcome)
    assert (tmp_path / "setup.json").stat().st_mode & 0o777 == 0o640
