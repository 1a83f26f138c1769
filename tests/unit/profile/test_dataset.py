from __future__ import annotations

from pathlib import Path

import pytest

from vvctl.profile import dataset
from vvctl.profile.errors import DataError


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_recordings_are_sessions_unless_a_folder_is(tmp_path: Path) -> None:
    folder = touch(
        tmp_path, "anna/1.wav", "anna/2.FLAC", "anna/call/a.ogg", "anna/call/b.ogg", "anna/notes.txt", "x.wav"
    )
    found = {session.name: [path.name for path in session.files] for session in dataset.read_folder(folder)}
    assert found == {"1.wav": ["1.wav"], "2.FLAC": ["2.FLAC"], "call": ["a.ogg", "b.ogg"]}


def test_a_table_joins_the_files_of_a_session(tmp_path: Path) -> None:
    touch(tmp_path, "1.wav", "2.wav", "3.wav")
    table = tmp_path / "calls.csv"
    table.write_text("speaker,file,session\nanna,1.wav,monday\nanna,2.wav,monday\nbruno,3.wav,\n", encoding="utf-8-sig")
    found = [(item.speaker, item.name, len(item.files)) for item in dataset.read_table(table)]
    assert found == [("anna", "monday", 2), ("bruno", "3.wav", 1)]


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("speaker\nanna\n", "lacks the column.* file"),
        ("speaker,file\n", "names no recordings"),
        ("speaker,file\nanna,none.wav\n", "line 2: there is no file"),
        ("speaker,file\n,a.wav\n", "line 2: speaker or file is empty"),
        ("speaker,file\n\0\xff", "cannot be read|line 2"),
    ],
)
def test_a_wrong_table_is_refused_by_line(tmp_path: Path, content: str, named: str) -> None:
    table = tmp_path / "calls.csv"
    table.write_bytes(content.encode("latin-1"))
    with pytest.raises(DataError, match=named):
        dataset.read_table(table)


def test_a_folder_without_speakers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no recordings of speakers"):
        dataset.read_folder(touch(tmp_path, "a.wav"))
