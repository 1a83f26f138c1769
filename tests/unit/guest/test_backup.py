"""Backups on the data disk: the newest ones are kept, and calls never lack room because of them."""

from __future__ import annotations

import resource
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from vv_backup import shelf
from vv_backup.main import Settings, make
from vv_backup.shelf import NoRoom, Shelf, Space

MB = 1_000_000
NOW = datetime(2026, 11, 23, 2, 31, 5, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "backups"
    path.mkdir()
    return path


def add(folder: Path, *days: int, size: int = 0) -> None:
    for day in days:
        with (folder / f"voice-verify-202611{day:02}T023000Z.backup.age").open("wb") as file:
            file.truncate(size)


def days(folder: Path) -> list[int]:
    return [int(path.name[19:21]) for path in sorted(folder.iterdir())]


def disk(monkeypatch: pytest.MonkeyPatch, folder: Path, *, total: int, free: int) -> None:
    """A disk on which the backups in the folder take the room that they have."""

    def of(_: Path) -> Space:
        return Space(total, free - sum(path.stat().st_size for path in folder.iterdir()))

    monkeypatch.setattr(shelf.Space, "of", of)


def test_name_holds_the_time_and_what_was_interrupted_goes(folder: Path) -> None:
    add(folder, 20)
    (folder / "voice-verify-20261122T023000Z.backup.age.part").write_bytes(b"half")
    unfinished = Shelf(folder, keep=3, reserve_percent=10).unfinished(NOW)
    assert unfinished.name == "voice-verify-20261123T023105Z.backup.age.part"
    assert days(folder) == [20]


def test_newest_are_kept(folder: Path) -> None:
    shelf = Shelf(folder, keep=3, reserve_percent=10)
    add(folder, 19, 20, 21, 22)
    unfinished = shelf.unfinished(NOW)
    unfinished.write_bytes(b"whole")
    path = shelf.finish(unfinished)
    assert (path.read_bytes(), days(folder)) == (b"whole", [21, 22, 23])


def test_as_much_may_be_written_as_leaves_the_reserve(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk(monkeypatch, folder, total=100 * MB, free=30 * MB)
    shelf = Shelf(folder, keep=3, reserve_percent=10)
    assert shelf.make_room() == 20 * MB
    add(folder, 20, 21, size=4 * MB)
    assert shelf.make_room() == 12 * MB
    assert days(folder) == [20, 21]


def test_oldest_make_room_for_the_next(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk(monkeypatch, folder, total=100 * MB, free=30 * MB)
    add(folder, 18, 19, 20, 21, 22, size=4 * MB)
    # 5 MB are wanted: the last one, and a quarter.
    assert Shelf(folder, keep=14, reserve_percent=10).make_room() == 8 * MB
    assert days(folder) == [20, 21, 22]


@pytest.mark.parametrize("kept", [0, 1, 3])
def test_without_room_nothing_goes_for_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch, kept: int) -> None:
    disk(monkeypatch, folder, total=100 * MB, free=10 * MB)
    add(folder, *range(20, 20 + kept), size=MB)
    with pytest.raises(NoRoom, match="10 % of it stay free"):
        Shelf(folder, keep=14, reserve_percent=10).make_room()
    assert days(folder) == [*range(20, 20 + kept)]


@pytest.fixture
def settings(folder: Path, tmp_path: Path) -> Settings:
    recipient = tmp_path / "recipient"
    recipient.write_text("age1anna\n")
    return Settings(str(folder), 2, 0, str(recipient), "voice-verify")


def test_service_writes_it(settings: Settings, folder: Path, programs: Callable[[str, str], None]) -> None:
    programs("voice-verify", 'echo "$@" > "$4"')
    add(folder, 1, 2)
    assert make(settings) == 0
    *older, newest = sorted(folder.iterdir())
    assert [path.name for path in older] == ["voice-verify-20261102T023000Z.backup.age"]
    assert newest.read_text() == f"backup --recipient age1anna {newest}.part\n"


@pytest.mark.parametrize("script", ['echo half > "$4"; exit 1', 'echo half > "$4"; kill -9 $$', "exit 1"])
def test_failed_one_leaves_what_there_was(
    settings: Settings, folder: Path, programs: Callable[[str, str], None], script: str
) -> None:
    programs("voice-verify", script)
    add(folder, 1, 2)
    assert make(settings) == 1
    assert days(folder) == [1, 2]


def test_kernel_stops_what_is_larger_than_there_is_room(
    settings: Settings, folder: Path, programs: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    disk(monkeypatch, folder, total=100 * MB, free=MB)
    programs("voice-verify", 'head --bytes=2000000 /dev/zero > "$4"')
    assert make(settings) == 1
    assert list(folder.iterdir()) == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_without_room_it_says_what_to_do(
    settings: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    disk(monkeypatch, folder, total=100 * MB, free=0)
    assert make(settings) == 1
    assert "enlarge it, or move backups away" in capsys.readouterr().err
