"""A backup in a file: encrypted to a public key of age, or in clear."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import threading
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from vvctl.backup.errors import BackupUnreadable

if TYPE_CHECKING:
    import pyrage

_AGE = b"age-encryption.org/"
_PRIVATE = "AGE-SECRET-KEY-"
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Contents:
    """Of a whole and unchanged backup. `sha256`: of the file; `records`: how many of each kind."""

    sha256: str
    encrypted: bool
    created: datetime
    version: str
    records: Mapping[str, int]


class BackupFile:
    """All of it raises BackupUnreadable. `identity` is a file with private keys of age, for one that is encrypted."""

    def __init__(self, path: Path, identity: Path | None = None) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                self.encrypted = file.read(len(_AGE)) == _AGE
        except OSError as error:
            raise BackupUnreadable(f"{path} cannot be read: {error.strerror}") from error
        if self.encrypted and identity is None:
            raise BackupUnreadable(f"{path} is encrypted", hint="give the file with the private key: --identity FILE")
        self._identities = read_identities(identity) if self.encrypted and identity is not None else []

    def verify(self) -> Contents:
        """Read all of it, as the appliance would."""
        # Imported here: they take a second, which no other command needs.
        from voice_verify.errors import VoiceVerifyError  # noqa: PLC0415
        from voice_verify.services.backup_file import BackupReader  # noqa: PLC0415

        try:
            with self.clear() as packed, gzip.GzipFile(fileobj=packed) as file:
                reader = BackupReader(io.BufferedReader(cast(io.RawIOBase, file), _BLOCK))
                records = Counter[str](line.table for line in reader.rows())
        except VoiceVerifyError as error:
            raise BackupUnreadable(f"{self.path}: {error.message}") from error
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise BackupUnreadable(f"{self.path} is damaged, or no backup: {error}") from error
        header = reader.header
        return Contents(_sha256(self.path), self.encrypted, header.created, header.product, dict(records))

    @contextmanager
    def clear(self) -> Iterator[IO[bytes]]:
        """Its content in clear, which never reaches a disk."""
        with self.path.open("rb") as file:
            if not self.encrypted:
                yield file
                return
            with _decrypted(file, self._identities, self.path) as content:
                yield content

    def blocks(self) -> Iterator[bytes]:
        """Its content in clear, piece by piece."""
        with self.clear() as content:
            yield from iter(lambda: content.read(_BLOCK), b"")


def read_identities(path: Path) -> Sequence[pyrage.x25519.Identity]:
    """The private keys in a file as `age-keygen` makes it. Raises BackupUnreadable."""
    import pyrage  # noqa: PLC0415

    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
        found = [pyrage.x25519.Identity.from_str(line) for line in lines if line.startswith(_PRIVATE)]
    except (OSError, UnicodeDecodeError, pyrage.IdentityError) as error:
        raise BackupUnreadable(f"{path} cannot be read as a private key of age: {error}") from error
    if not found:
        raise BackupUnreadable(
            f"{path} holds no private key of age",
            hint=f"give the file that age-keygen made; it has a line {_PRIVATE}...",
        )
    return found


@contextmanager
def _decrypted(file: IO[bytes], identities: Sequence[pyrage.x25519.Identity], path: Path) -> Iterator[IO[bytes]]:
    import pyrage  # noqa: PLC0415

    receiving, sending = os.pipe()
    failed: list[BaseException] = []

    def decrypt() -> None:
        # A reader that failed reads no further.
        with suppress(BrokenPipeError), open(sending, "wb") as content:  # noqa: PTH123 - a descriptor
            try:
                pyrage.decrypt_io(file, content, identities)
            except BaseException as error:
                failed.append(error)

    decrypting = threading.Thread(target=decrypt, name="decrypt")
    decrypting.start()
    try:
        with open(receiving, "rb") as content:  # noqa: PTH123
            try:
                yield content
            except Exception as error:
                if failed:
                    # It was cut off for the reader.
                    raise _undecryptable(path, failed[0]) from error
                raise
    finally:
        decrypting.join()
    if failed:
        raise _undecryptable(path, failed[0])


def _undecryptable(path: Path, error: BaseException) -> BackupUnreadable:
    return BackupUnreadable(f"{path} cannot be decrypted: {error}", hint="it is damaged, or for another key")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
