from __future__ import annotations

import gzip
import io
from pathlib import Path

import pytest

from voice_verify.errors import BackupDamaged, UploadTooLarge
from voice_verify.services.spool import Spool, packed, size


def test_reads_what_was_packed_and_what_was_not(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "folder", 1000)
    with spool.new() as file:
        with packed(file) as content:
            content.write(b"x" * 1000)
        assert size(file) < 100
        assert spool.unpacked(file).read() == b"x" * 1000
        assert list(spool.folder.iterdir()) == []
    assert spool.unpacked(io.BytesIO(b"plain")).read() == b"plain"


@pytest.mark.parametrize("content", [b"x" * 1001, gzip.compress(bytes(10**7))], ids=["plain", "packed"])
def test_gives_up_on_what_becomes_too_large(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(UploadTooLarge):
        Spool(tmp_path, 1000).unpacked(io.BytesIO(content)).read()


@pytest.mark.parametrize("cut", [1, 9, 20])
def test_notices_a_torn_file(tmp_path: Path, cut: int) -> None:
    with pytest.raises(BackupDamaged):
        Spool(tmp_path, 1000).unpacked(io.BytesIO(gzip.compress(b"some content")[:-cut])).read()
