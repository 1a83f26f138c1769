"""The format of a backup: gzip of JSON lines, a header, one line a row, and a trailer that vouches for all of them.

{"format": "voice-verify-backup", "version": 1, "product": …, "schema_revision": …, "created": …, "model": …}
{"table": "speakers", "row": {…}}
{"records": 1, "sha256": SHA-256 of all lines before this one, with their line ends}
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from io import BufferedReader
from typing import IO, Annotated, Final, Literal

from pydantic import BaseModel, Field, ValidationError

from voice_verify.errors import BackupDamaged, BackupForeign, BackupTooNew
from voice_verify.services.records import LINE, BackupLine, Moment, Record

FORMAT: Final = "voice-verify-backup"
VERSION: Final = 1
# A profile with its matrix takes 400 KB.
LONGEST_LINE = 4 * 1024 * 1024
# How the line of a row begins, and no other.
ROW = b'{"table"'


class Header(Record):
    """`product`: the version of Voice Verify that made it; `model`: identity of the model it had then."""

    format: Literal["voice-verify-backup"] = FORMAT
    version: Literal[1] = VERSION
    product: str
    schema_revision: str | None
    created: Moment
    model: str


class Trailer(Record):
    records: Annotated[int, Field(ge=0)]
    sha256: str


class _Kind(BaseModel):
    format: str
    version: int


def check_kind(content: bytes | dict[str, object], wanted: str, newest: int) -> None:
    """Raises BackupForeign unless `content` says that it is of the format `wanted`, BackupTooNew beyond `newest`."""
    try:
        kind = _Kind.model_validate_json(content) if isinstance(content, bytes) else _Kind.model_validate(content)
    except ValidationError as error:
        raise BackupForeign("The file is not from Voice Verify", hint=f"send one of the format {wanted}") from error
    if kind.format != wanted:
        raise BackupForeign(
            f"The file has the format {kind.format[:64]!r}, and {wanted} is needed here",
            hint="backups go to /api/v2/maintenance/loadbackup, snapshots to /api/v2/snapshot/import",
        )
    if kind.version > newest:
        raise BackupTooNew(
            f"The file has version {kind.version} of its format, and this service reads up to {newest}",
            hint="restore it with the version of Voice Verify that made it, or a newer one",
        )


def write(file: IO[bytes], header: Header, lines: Iterable[BackupLine]) -> int:
    """Write a backup and tell how many rows it has."""
    digest = hashlib.sha256()
    records = 0

    def put(document: Record) -> None:
        line = document.model_dump_json().encode() + b"\n"
        digest.update(line)
        file.write(line)

    put(header)
    for line in lines:
        put(line)
        records += 1
    put(Trailer(records=records, sha256=digest.hexdigest()))
    return records


class BackupReader:
    """Reads a backup from its start. When the rows came to an end well the file was whole and unchanged.

    All of it raises BackupForeign, BackupTooNew, BackupDamaged and UploadTooLarge.
    """

    def __init__(self, file: BufferedReader) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        line = self._line()
        check_kind(line, FORMAT, VERSION)
        try:
            self.header = Header.model_validate_json(line)
        except ValidationError as error:
            raise damaged("its first line is not right") from error

    def rows(self) -> Iterator[BackupLine]:
        count = 0
        while True:
            expected = self._digest.hexdigest()
            line = self._line()
            if not line.startswith(ROW):
                break
            try:
                yield LINE.validate_json(line)
            except ValidationError as error:
                raise damaged(f"row {count + 1} is not right") from error
            count += 1
        try:
            trailer = Trailer.model_validate_json(line)
        except ValidationError as error:
            raise damaged("its last line is missing") from error
        if (trailer.records, trailer.sha256) != (count, expected):
            raise damaged("it was changed after it was made")
        if self._file.read(1):
            raise damaged("something follows its end")

    def _line(self) -> bytes:
        line = self._file.readline(LONGEST_LINE)
        self._digest.update(line)
        return line


def damaged(what: str) -> BackupDamaged:
    """The refusal of a file in which something is not right."""
    return BackupDamaged(f"The file is damaged: {what}", hint="nothing was changed; send it as it was made, whole")
