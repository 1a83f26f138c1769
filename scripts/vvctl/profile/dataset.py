"""Where the recordings of a calibration are, and who speaks on which: a folder or a table."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from vvctl.profile.errors import DataError

SUFFIXES = {".wav", ".flac", ".ogg", ".oga", ".opus"}
LAYOUT = "lay recordings out as speaker/recording.wav or speaker/session/recording.wav"
COLUMNS = "speaker, file and, where known, session"


@dataclass(frozen=True)
class Recording:
    """`session`: recordings of one speaker in one session, such as the parts of a call, count as one."""

    speaker: str
    session: str
    path: Path


def read_folder(folder: Path) -> list[Recording]:
    """A folder for each speaker; folders in it are sessions, a recording outside of one is a session of its own.

    Files that are no recordings are passed over. Raises DataError.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder", hint=LAYOUT)
    recordings = []
    for path in sorted(folder.rglob("*")):
        place = path.relative_to(folder).parts
        if path.suffix.lower() not in SUFFIXES or len(place) == 1 or any(part.startswith(".") for part in place):
            continue
        session = "/".join(place[1:-1]) if len(place) > 2 else path.name
        recordings.append(Recording(place[0], session, path))
    if not recordings:
        raise DataError(f"{folder} holds no recordings of speakers", hint=LAYOUT)
    return recordings


def read_table(table: Path) -> list[Recording]:
    """A CSV file with a header; a relative file is meant from the table's folder. Raises DataError."""
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = {"speaker", "file"} - set(reader.fieldnames or ())
            if missing:
                raise DataError(f"{table} lacks the column(s) {', '.join(sorted(missing))}", hint=f"give {COLUMNS}")
            recordings = [_from_row(table, reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{table} cannot be read: {error}", hint=f"give a CSV file in UTF-8 with {COLUMNS}") from error
    if not recordings:
        raise DataError(f"{table} names no recordings", hint=f"give {COLUMNS}, a line a recording")
    return recordings


def _from_row(table: Path, line: int, row: dict[str, str | None]) -> Recording:
    speaker, file = (row["speaker"] or "").strip(), (row["file"] or "").strip()
    if not speaker or not file:
        raise DataError(f"{table}, line {line}: speaker or file is empty", hint=f"give {COLUMNS}")
    path = table.parent / file
    if not path.is_file():
        raise DataError(f"{table}, line {line}: there is no file {path}", hint="relative files start at the table")
    return Recording(speaker, (row.get("session") or "").strip() or file, path)
