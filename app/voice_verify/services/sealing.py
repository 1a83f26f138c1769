"""Files that only the owner of a private key can read: age (age-encryption.org/v1), to an X25519 public key."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

import pyrage

from voice_verify.errors import FieldProblem, RecipientInvalid

MEDIA_TYPE = "application/age"


def parse_recipient(text: str) -> pyrage.x25519.Recipient:
    """Raises RecipientInvalid."""
    try:
        return pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError as error:
        raise RecipientInvalid(
            "This is no public key of age",
            hint="give the line that begins with age1; `age-keygen -y KEYFILE` prints it",
            errors=[FieldProblem("query.recipient", "no public key of age")],
        ) from error


@contextmanager
def sealed(file: IO[bytes], recipient: pyrage.x25519.Recipient) -> Iterator[IO[bytes]]:
    """What is written is encrypted into `file`; whole when the block ends well."""
    receiving, sending = os.pipe()
    target = _Target(file)
    failed: list[BaseException] = []

    def encrypt() -> None:
        with open(receiving, "rb") as clear:  # noqa: PTH123 - a descriptor
            try:
                pyrage.encrypt_io(clear, target, [recipient])
            except BaseException as error:
                failed.append(target.error or error)

    encrypting = threading.Thread(target=encrypt, name="encrypt")
    encrypting.start()
    try:
        # The other end is gone once encryption has failed; why is told below.
        with suppress(BrokenPipeError), open(sending, "wb") as content:  # noqa: PTH123
            yield content
    finally:
        encrypting.join()
    if failed:
        raise failed[0]


class _Target(io.RawIOBase):
    """Keeps the reason why writing failed, of which the library tells the text only."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._file = file
        self.error: OSError | None = None

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        try:
            return self._file.write(content)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        self._file.flush()
