"""Encryption to a public key: what comes out is whole, or there is an error."""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path

import pyrage
import pytest

from voice_verify.errors import DiskFull, RecipientInvalid
from voice_verify.services.sealing import parse_recipient, sealed
from voice_verify.services.spool import disk_full

KEY = pyrage.x25519.Identity.generate()
RECIPIENT = KEY.to_public()


@pytest.mark.parametrize("size", [0, 1, 64 * 1024, 3_000_000])
def test_owner_of_the_key_gets_what_was_written(size: int) -> None:
    clear, file = os.urandom(size), io.BytesIO()
    with sealed(file, parse_recipient(str(RECIPIENT))) as content:
        content.write(clear)
    assert pyrage.decrypt(file.getvalue(), [KEY]) == clear


def test_full_disk_is_told() -> None:
    with pytest.raises(DiskFull), disk_full(), Path("/dev/full").open("wb", buffering=0) as full:  # noqa: SIM117
        with sealed(full, RECIPIENT) as content:
            content.write(bytes(3_000_000))


def test_what_fails_while_writing_is_told_and_leaves_no_thread() -> None:
    def fail() -> None:
        with sealed(io.BytesIO(), RECIPIENT) as content:
            content.write(b"x")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [thread.name for thread in threading.enumerate() if thread.name == "encrypt"] == []


def test_secret_key_is_no_recipient() -> None:
    with pytest.raises(RecipientInvalid):
        parse_recipient(str(KEY))
