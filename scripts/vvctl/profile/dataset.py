"""Where the recordings of a calibration are, and who speaks on which: a folder or a table."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from vvctl.profile.errors import DataError

SUFFIXES = {".wav", ".flac", ".ogg", ".oga", ".opus"}
LAYOUT = "lay recordings out as speaker/recording.wav or speaker/session/recording.wav"
COLUMNS = "speaker, file and, where known, session"

Files = dict[tuple[str, str], list[Path]]


@dataclass(frozen=True)
class Session:
    """What one speaker said on one occasion: the parts of a call, or a folder of short recordings, in their order."""

    speaker: str
    name: str
    files: tuple[Path, ...]


def read_folder(folder: Path) -> list[Session]:
    """A folder for each speaker; folders in it are sessions, a recording outside of one is a session of its own.

    Files that are no recordings are passed over. Raises DataError.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder", hint=LAYOUT)
    sessions: Files = {}
    for path in sorted(folder.rglob("*")):
        place = path.relative_to(folder).parts
        if path.suffix.lower() not in SUFFIXES or len(place) == 1 or any(part.startswith(".") for part in place):
            continue
        session = "/".join(place[1:-1]) if len(place) > 2 else path.name
        sessions.setdefault((place[0], session), []).append(path)
    if not sessions:
        raise DataError(f"{folder} holds no recordings of speakers", hint=LAYOUT)
    return _sessions(sessions)


def read_table(table: Path) -> list[Session]:
    """A CSV file with a header; a relative file is meant from the table's folder. Raises DataError."""
    sessions: Files = {}
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = {"speaker", "file"} - set(reader.fieldnames or ())
            if missing:
                raise DataError(f"{table} lacks the column(s) {', '.join(sorted(missing))}", hint=f"give {COLUMNS}")
            for row in reader:
                key, path = _from_row(table, reader.line_num, row)
                sessions.setdefault(key, []).append(path)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{table} cannot be read: {error}", hint=f"give a CSV file in UTF-8 with {COLUMNS}") from error
    if not sessions:
        raise DataError(f"{table} names no recordings", hint=f"give {COLUMNS}, a line a recording")
    return _sessions(sessions)


def _from_row(table: Path, line: int, row: dict[str, str | None]) -> tuple[tuple[str, str], Path]:
    speaker, file = (row["speaker"] or "").strip(), (row["file"] or "").strip()
    if not speaker or not file:
        raise DataError(f"{table}, line {line}: speaker or file is empty", hint=f"give {COLUMNS}")
    path = table.parent / file
    if not path.is_file():
        raise DataError(f"{table}, line {line}: there is no file {path}", hint="relative files start at the table")
    return (speaker, (row.get("session") or "").strip() or file), path


def _sessions(files: Files) -> list[Session]:
    return [Session(speaker, name, tuple(paths)) for (speaker, name), paths in files.items()]
