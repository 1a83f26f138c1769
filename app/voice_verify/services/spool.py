"""Files that come in and go out: on the data disk, nameless, of bounded size, and gone once they are closed."""

from __future__ import annotations

import gzip
import io
import os
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EDQUOT, EFBIG, ENOSPC
from pathlib import Path
from typing import IO, Any, cast

from voice_verify.errors import BackupDamaged, DiskFull, StartError, UploadTooLarge

GZIP_MAGIC = b"\x1f\x8b"
# Embeddings hardly compress: more effort only takes longer.
GZIP_LEVEL = 1
BLOCK = 64 * 1024


class Spool:
    """`limit`: bytes that a file may have, packed or not."""

    def __init__(self, folder: Path, limit: int) -> None:
        """Raises StartError when `folder` cannot be made."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StartError(f"{folder} cannot be made: {error.strerror}", hint="check VV_STATE_DIR") from error
        self.folder = folder
        self.limit = limit

    def new(self) -> IO[bytes]:
        """A new, empty file; raises DiskFull."""
        with disk_full():
            return tempfile.TemporaryFile(dir=self.folder)

    def unpacked(self, file: IO[bytes]) -> io.BufferedReader:
        """What `file` holds, gzip or not; reading it raises BackupDamaged and UploadTooLarge."""
        file.seek(0)
        packed = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
        file.seek(0)
        content = cast(IO[bytes], gzip.GzipFile(fileobj=file)) if packed else file
        return io.BufferedReader(_Bounded(content, self.limit), BLOCK)


@contextmanager
def packed(file: IO[bytes]) -> Iterator[IO[bytes]]:
    """A gzip of what is written, without the time of day; whole when the block ends."""
    with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=GZIP_LEVEL, mtime=0) as unpacked:
        yield cast(IO[bytes], unpacked)


@contextmanager
def disk_full() -> Iterator[None]:
    """Says of a disk that has no room that it has none."""
    try:
        yield
    except OSError as error:
        # EFBIG: whoever started this process gave it no more.
        if error.errno not in (ENOSPC, EDQUOT, EFBIG):
            raise
        raise DiskFull("The data disk is full", hint="enlarge it, or make room on it") from error


def size(file: IO[bytes]) -> int:
    """Of the file, in bytes; it is read from its start afterwards."""
    length = file.seek(0, os.SEEK_END)
    file.seek(0)
    return length


class _Bounded(io.RawIOBase):
    def __init__(self, file: IO[bytes], limit: int) -> None:
        super().__init__()
        self._file = file
        self._limit = limit
        self._left = limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            content = self._file.read(len(buffer))
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise BackupDamaged(
                f"The file cannot be unpacked: {error}", hint="send the file as it was made, whole"
            ) from error
        self._left -= len(content)
        if self._left < 0:
            raise UploadTooLarge(
                f"The file is larger than {self._limit // 2**20} MB once it is unpacked",
                hint="raise limits.restore_mb (VV_RESTORE_MB) if it is right",
            )
        buffer[: len(content)] = content
        return len(content)
