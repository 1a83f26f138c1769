"""A journal holds what was written before a crash, and says so when it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from vvctl.journal import Journal, JournalDamaged, JournalInUse

RECORDS = [{"event": "begun", "name": "Größe"}, {"event": "block", "index": 7}, {"event": "block", "index": 8}]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "folder" / "a.journal"
    with Journal(path) as journal:
        for record in RECORDS:
            journal.append(record)
    return path


def records(path: Path) -> list[dict[str, object]]:
    with Journal(path) as journal:
        return list(journal.records)


def test_what_was_written_is_read(path: Path) -> None:
    assert records(path) == RECORDS


def test_a_record_cut_short_at_any_byte_is_dropped_and_written_over(path: Path) -> None:
    whole = path.read_bytes()
    last = whole[:-1].rindex(b"\n") + 1
    for end in range(last, len(whole)):
        path.write_bytes(whole[:end])
        with Journal(path) as journal:
            assert journal.records == RECORDS[:2]
            journal.append(RECORDS[2])
        assert path.read_bytes() == whole


def test_damage_before_the_end_is_refused_and_left_as_it_is(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[12] ^= 1
    path.write_bytes(content)
    with pytest.raises(JournalDamaged, match="line 1"):
        Journal(path)
    assert path.read_bytes() == content


def test_only_one_process_at_a_time(path: Path) -> None:
    with Journal(path), pytest.raises(JournalInUse):
        Journal(path)
    assert records(path) == RECORDS


def test_forgotten(path: Path) -> None:
    with Journal(path) as journal:
        journal.remove()
    assert not path.exists()
