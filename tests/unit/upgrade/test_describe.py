"""What is said before an upgrade, and how long the last one took."""

from __future__ import annotations

from pathlib import Path

import pytest

from vvctl.upgrade import describe
from vvctl.upgrade.history import Decision
from vvctl.upgrade.local.provider import LocalProvider, make
from vvctl.upgrade.options import Options
from vvctl.upgrade.record import UpgradeRecord

FACTS = {
    "machine": "/machines/voice",
    "data_disk": "/machines/voice/disks/data.qcow2",
    "directory": "/machines/voice",
    "old": "1.0.0-3f0a11",
    "ova": "/images/voice-verify-1.1.0.ova",
    "version": "1.1.0",
    "format_epoch": 2,
}


@pytest.fixture
def provider() -> LocalProvider:
    return make(FACTS, "", 1.0)


def test_a_plan_has_every_step_with_what_it_touches(provider: LocalProvider, tmp_path: Path) -> None:
    found = describe.plan(provider, Options(), tmp_path / "journal")
    assert [step["state"] for step in found["steps"]] == [
        *("LOCK", "PREFLIGHT", "STAGE_NEW", "QUIESCE", "MOVE_DATA", "SAFETY", "IDENTITY", "START", "HEALTH", "COMMIT")
    ]
    assert found["rollback"][-1]["state"] == "UNLOCK"
    assert [step["state"] for step in found["finalize"]] == ["FINALIZE"]
    lines = "\n".join(describe.plan_lines(found))
    for named in (FACTS["data_disk"], FACTS["old"], FACTS["ova"], "NEW"):
        assert str(named) in lines


def test_downtime_that_was_never_measured_is_not_guessed(provider: LocalProvider, tmp_path: Path) -> None:
    begin("other", tmp_path, Decision.QUIET, Decision.OPENED)
    said = describe.plan(provider, Options(drain_s=60, start_s=300), tmp_path / "journal")["downtime"]
    assert "at most 60 s" in said
    assert "never measured on this machine" in said
    assert "the start more than 300 s" in said


@pytest.mark.parametrize("name", ["journal", "journal.3f0a11"])
def test_downtime_is_that_of_the_last_upgrade_of_the_machine(
    provider: LocalProvider, tmp_path: Path, name: str
) -> None:
    begin(name, tmp_path, Decision.QUIET, Decision.OPENED)
    assert "as measured here at the upgrade of" in describe.plan(provider, Options(), tmp_path / "journal")["downtime"]


def begin(name: str, folder: Path, *decisions: Decision) -> None:
    record = UpgradeRecord(folder / name)
    record.begin("local", FACTS, {"url": "u", "options": Options().document()})
    for decision in decisions:
        record.decide(decision)
    record.close()
