"""What an upgrade wrote down tells how far it is, whatever became of the process that wrote it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from vvctl.journal import JournalDamaged, JournalInUse
from vvctl.upgrade import describe
from vvctl.upgrade.history import JOURNAL, Before, Decision, History, Phase
from vvctl.upgrade.options import Canary, Options
from vvctl.upgrade.record import UpgradeRecord

FACTS = {"machine": "voice (vm-7)", "data_disk": "Hard disk 2"}
INVENTORY = {"version": "1.0.0", "boot": "b", "through": "t", "records": {}}


@pytest.fixture
def record(tmp_path: Path) -> Iterator[UpgradeRecord]:
    made = UpgradeRecord(tmp_path / "upgrade")
    made.begin("local", FACTS, {"url": "https://voice.example.org:8443", "options": Options().document()})
    made.open()
    yield made
    made.close()


@pytest.mark.parametrize(
    ("decisions", "phase"),
    [
        ([], Phase.FORWARD),
        ([Decision.QUIET, Decision.MAY_WRITE], Phase.FORWARD),
        ([Decision.QUIET, Decision.MAY_WRITE, Decision.COMMIT], Phase.COMMITTED),
        ([Decision.COMMIT, Decision.OPENED], Phase.COMMITTED),
        ([Decision.QUIET, Decision.ROLLBACK], Phase.BACK),
        ([Decision.COMMIT, Decision.OPENED, Decision.ROLLBACK, Decision.RESTORED, Decision.REOPEN], Phase.BACK),
        ([Decision.COMMIT, Decision.OPENED, Decision.FINALIZE], Phase.FINALIZING),
        ([Decision.COMMIT, Decision.OPENED, Decision.FINALIZE, Decision.ENDED], Phase.ENDED),
        ([Decision.ROLLBACK, Decision.ENDED], Phase.ENDED),
    ],
)
def test_the_last_decision_says_what_comes_next(record: UpgradeRecord, decisions: list[Decision], phase: Phase) -> None:
    for decision in decisions:
        record.decide(decision)
    assert record.phase is phase
    assert History.read(record.directory).phase is phase


def test_a_decision_is_made_once_and_keeps_its_reason(record: UpgradeRecord) -> None:
    record.decide(Decision.ROLLBACK, "the new system was not ready")
    record.decide(Decision.ROLLBACK, "a person asked for it")
    assert record.why(Decision.ROLLBACK) == "the new system was not ready"
    assert [entry.get("decision") for entry in record.records].count(Decision.ROLLBACK) == 1


def test_what_was_there_before_is_that_of_the_last_time(record: UpgradeRecord) -> None:
    assert record.before is None
    record.note_before(Before({**INVENTORY, "version": "0.9.0"}, "first", "1" * 64))
    record.note_before(Before(INVENTORY, "second", "2" * 64))
    assert History.read(record.directory).before == Before(INVENTORY, "second", "2" * 64)


def test_a_stay_that_was_cut_off_has_no_end(record: UpgradeRecord) -> None:
    record.enter("LOCK")
    record.leave("LOCK", 0.25)
    record.enter("QUIESCE")
    record.enter("QUIESCE")
    record.leave("QUIESCE", 1.5)
    stays = History.read(record.directory).stays()
    assert [(stay.state, stay.left is None) for stay in stays] == [
        ("LOCK", False),
        ("QUIESCE", True),
        ("QUIESCE", False),
    ]
    assert record.entered("QUIESCE")
    assert not record.left("MOVE_DATA")


def test_calls_were_refused_from_the_first_refusal_until_callers_were_let_in(record: UpgradeRecord) -> None:
    assert record.refused_s() is None
    record.decide(Decision.QUIET)
    assert record.refused_s() is None
    record.decide(Decision.OPENED)
    refused = record.refused_s()
    assert refused is not None
    assert 0 <= refused < 60


@pytest.mark.parametrize("cut", range(1, 40, 6))
def test_a_torn_last_record_was_never_written(record: UpgradeRecord, cut: int) -> None:
    record.decide(Decision.QUIET)
    before = len(record.records)
    record.decide(Decision.COMMIT)
    path = record.directory / JOURNAL
    os.truncate(path, path.stat().st_size - cut)
    assert History.read(record.directory).phase is Phase.FORWARD
    record.close()
    again = UpgradeRecord(record.directory)
    assert len(again.records) == before
    again.decide(Decision.ROLLBACK)
    again.close()
    assert History.read(record.directory).phase is Phase.BACK


def test_damage_in_the_middle_is_refused(record: UpgradeRecord) -> None:
    path = record.directory / JOURNAL
    content = bytearray(path.read_bytes())
    content[20] ^= 1
    path.write_bytes(content)
    with pytest.raises(JournalDamaged, match="line 1"):
        History.read(record.directory)


def test_one_process_at_a_time(record: UpgradeRecord) -> None:
    with pytest.raises(JournalInUse):
        UpgradeRecord(record.directory)


def test_journal_and_backup_are_for_this_account_only(record: UpgradeRecord) -> None:
    assert record.directory.stat().st_mode & 0o777 == 0o700


def test_the_reserve_goes_with_the_end(record: UpgradeRecord) -> None:
    assert (record.directory / "reserve").exists()
    record.decide(Decision.ENDED)
    record.close()
    assert not (record.directory / "reserve").exists()


def test_options_come_back_from_the_journal(tmp_path: Path) -> None:
    chosen = Options(drain_s=5, force_off=True, canaries=[Canary("anna", tmp_path / "anna.wav")], start_s=90)
    assert Options.of(chosen.document()) == chosen


class TestStatus:
    def test_says_what_it_is_about_and_how_far(self, record: UpgradeRecord) -> None:
        record.enter("LOCK")
        record.leave("LOCK", 0.25)
        record.note_before(Before(INVENTORY, "backup", "0" * 64))
        record.enter("QUIESCE")
        found = describe.status(History.read(record.directory))
        assert found["machine"] == "voice (vm-7)"
        assert found["state"] == "QUIESCE"
        assert found["from_version"] == "1.0.0"
        assert found["worked_on"]
        lines = "\n".join(describe.status_lines(found, record.directory))
        assert "LOCK" in lines
        assert "… QUIESCE" in lines
        assert "a process is working on it" in lines

    def test_says_that_nobody_goes_on(self, record: UpgradeRecord) -> None:
        record.enter("QUIESCE")
        # The last one who worked on it is gone.
        record.records[-2]["pid"] = _gone()
        found = describe.status(record)
        assert not found["worked_on"]
        assert "nobody is working on it" in "\n".join(describe.status_lines(found, record.directory))

    def test_says_why_it_went_back(self, record: UpgradeRecord) -> None:
        record.decide(Decision.ROLLBACK, "the new system was not ready")
        found = describe.status(record)
        assert "why: the new system was not ready" in "\n".join(describe.status_lines(found, record.directory))


def _gone() -> int:
    """The id of a process that has ended."""
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    return child
