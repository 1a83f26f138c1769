"""An append-only file of what was decided and done, so that work goes on after the process was killed.

A line is the CRC-32 of a JSON object, a space, and the object. Whatever a crash left of the last line is cut off; a
wrong line before the last one is damage, and refused.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
import zlib
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from vvctl.errors import VvctlError

Record = dict[str, Any]


class JournalInUse(VvctlError):
    """Another process works on the same thing."""

    code = "journal_in_use"


class JournalDamaged(VvctlError):
    """The journal does not say any more what was done."""

    code = "journal_damaged"


class Journal:
    """The journal at `path`, made when there is none; nobody else can open it until it is closed."""

    def __init__(self, path: Path) -> None:
        """Raises JournalInUse or JournalDamaged."""
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        # Unbuffered: what could not be written must not be written later.
        self._file = path.open("a+b", buffering=0)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            raise JournalInUse(f"{path} is in use by another run", hint="wait until it has ended") from error
        self.records = self._read()

    def append(self, record: Record, *, durable: bool = True) -> None:
        """Add a record. `durable` survives a power loss; without it, the end of this process only.

        Raises OSError, and the file is as before, when there is no room.
        """
        line = _line(record)
        with self._lock:
            end = self._file.seek(0, os.SEEK_END)
            try:
                written = 0
                while written < len(line):
                    written += self._file.write(line[written:])
                if durable:
                    os.fsync(self._file.fileno())
            except OSError:
                self._file.truncate(end)
                raise
            self.records.append(record)

    def remove(self) -> None:
        """Forget everything: the work is undone."""
        self.path.unlink()
        self.close()

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self) -> list[Record]:
        self._file.seek(0)
        records, end = _parsed(self.path, self._file.readall())
        self._file.truncate(end)
        return records


def read(path: Path) -> list[Record]:
    """What is in the journal at `path`, also while a process writes to it; empty without one. Raises JournalDamaged."""
    try:
        return _parsed(path, path.read_bytes())[0]
    except FileNotFoundError:
        return []


def _parsed(path: Path, content: bytes) -> tuple[list[Record], int]:
    """The records, and where the last whole one ends. Raises JournalDamaged."""
    lines = content.splitlines(keepends=True)
    records: list[Record] = []
    end = 0
    for number, line in enumerate(lines, start=1):
        record = _parse(line)
        if record is None:
            if number < len(lines):
                raise JournalDamaged(
                    f"{path}, line {number}: its checksum is wrong",
                    hint="move it away to begin anew; what was made is still found by its tags",
                )
            break
        records.append(record)
        end += len(line)
    return records, end


def _line(record: Record) -> bytes:
    text = json.dumps(record, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _parse(line: bytes) -> Record | None:
    checksum, _, text = line.rstrip(b"\n").partition(b" ")
    if not line.endswith(b"\n") or checksum != b"%08x" % zlib.crc32(text):
        return None
    record: Record = json.loads(text)
    return record
