"""Which journal is meant, and when another upgrade may begin."""

from __future__ import annotations

from pathlib import Path

import pytest

from vvctl.upgrade import places
from vvctl.upgrade.errors import NothingToDo, UnderWay
from vvctl.upgrade.history import Decision, History
from vvctl.upgrade.options import Options
from vvctl.upgrade.record import UpgradeRecord


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "vvctl/upgrades"


def begun(machine: str, *decisions: Decision) -> Path:
    directory = places.default("local", machine)
    record = UpgradeRecord(directory)
    record.begin("local", {"machine": machine, "data_disk": "d"}, {"url": "u", "options": Options().document()})
    for decision in decisions:
        record.decide(decision)
    record.close()
    return directory


def test_a_name_for_every_machine(home: Path) -> None:
    assert places.default("vmware", "Voice Verify (vm-7)") == home / "vmware-Voice_Verify_vm-7_"


def test_the_one_that_has_not_ended(home: Path) -> None:
    begun("one", Decision.ROLLBACK, Decision.ENDED)
    under_way = begun("two", Decision.QUIET)
    assert places.chosen(None) == under_way


def test_none_under_way() -> None:
    with pytest.raises(NothingToDo, match="no upgrade is under way"):
        places.chosen(None)
    begun("one", Decision.ENDED)
    with pytest.raises(NothingToDo) as caught:
        places.chosen(None)
    assert "--journal" in caught.value.hint


def test_several_under_way_are_named() -> None:
    one, two = begun("one"), begun("two", Decision.COMMIT)
    with pytest.raises(UnderWay) as caught:
        places.chosen(None)
    assert str(one) in caught.value.hint
    assert str(two) in caught.value.hint


def test_a_named_one_may_have_ended(tmp_path: Path) -> None:
    ended = begun("one", Decision.ENDED)
    assert places.chosen(ended) == ended
    with pytest.raises(NothingToDo, match="holds no upgrade"):
        places.chosen(tmp_path / "nowhere")


def test_one_that_has_ended_is_moved_aside_and_kept() -> None:
    directory = begun("one", Decision.ENDED)
    ended = History.read(directory).id
    places.clear(directory)
    assert not directory.exists()
    assert History.read(directory.with_name(f"{directory.name}.{ended}")).id == ended


@pytest.mark.parametrize(
    ("decisions", "says"),
    [
        ([], "under way"),
        ([Decision.QUIET], "under way"),
        ([Decision.ROLLBACK], "under way"),
        ([Decision.COMMIT], "not final yet"),
        ([Decision.COMMIT, Decision.OPENED], "not final yet"),
        ([Decision.COMMIT, Decision.FINALIZE], "not final yet"),
    ],
)
def test_one_that_has_not_ended_stays(decisions: list[Decision], says: str) -> None:
    directory = begun("one", *decisions)
    with pytest.raises(UnderWay, match=says):
        places.clear(directory)
    assert History.read(directory).records
