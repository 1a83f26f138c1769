"""The format that is noted on the data disk: a system that knows it no longer refuses the disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from vv_data_disk import epoch


def noted(folder: Path) -> Any:
    return json.loads((folder / epoch.NOTE).read_text(encoding="utf-8"))


def test_new_disk_is_noted(tmp_path: Path) -> None:
    assert epoch.note(tmp_path, 1)
    assert noted(tmp_path)["format_epoch"] == 1
    assert noted(tmp_path)["created"].endswith("Z")


def test_newer_system_raises_it_and_the_older_one_refuses_it_from_then_on(tmp_path: Path) -> None:
    epoch.note(tmp_path, 1)
    created = noted(tmp_path)["created"]
    assert epoch.note(tmp_path, 2)
    assert noted(tmp_path) == {"format_epoch": 2, "created": created}
    assert not epoch.note(tmp_path, 1)
    assert noted(tmp_path)["format_epoch"] == 2


def test_same_format_is_not_written_again(tmp_path: Path) -> None:
    epoch.note(tmp_path, 1)
    before = (tmp_path / epoch.NOTE).stat()
    assert epoch.note(tmp_path, 1)
    assert (tmp_path / epoch.NOTE).stat().st_ino == before.st_ino


@pytest.mark.parametrize("text", ["", "{", "[]", '{"created": "x"}'])
def test_note_that_says_nothing_is_written_anew(tmp_path: Path, text: str) -> None:
    (tmp_path / epoch.NOTE).write_text(text, encoding="utf-8")
    assert epoch.note(tmp_path, 1)
    assert noted(tmp_path)["format_epoch"] == 1


def test_power_cut_leaves_the_old_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    epoch.note(tmp_path, 1)
    before = noted(tmp_path)

    def cut(_: int) -> None:
        raise OSError("no power")

    monkeypatch.setattr("os.fsync", cut)
    with pytest.raises(OSError, match="no power"):
        epoch.note(tmp_path, 2)
    assert noted(tmp_path) == before
