"""Disks come out of their zstd files block by block, exactly, however they were written."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from vvctl.errors import IntegrityError
from vvctl.image import sparse
from vvctl.publish.zstdisk import ZstDisk

BLOCK = 512 << 10
CHUNK = sparse.CHUNK


def disk(path: Path, size: int, content: dict[int, int], seed: int = 1) -> bytes:
    """A sparse file with random bytes at offsets; returns what it holds."""
    source = random.Random(seed)  # noqa: S311
    with path.open("wb") as file:
        for offset, length in content.items():
            file.seek(offset)
            file.write(source.randbytes(length))
        file.truncate(size)
    return path.read_bytes()


def unzipped(path: Path) -> tuple[dict[int, bytes], int]:
    reader = ZstDisk(path, BLOCK)
    return dict(reader), reader.size


def expected(content: bytes) -> dict[int, bytes]:
    blocks = {start // BLOCK: content[start : start + BLOCK] for start in range(0, len(content), BLOCK)}
    return {index: block.ljust(BLOCK, b"\0") for index, block in blocks.items() if block.strip(b"\0")}


@pytest.mark.parametrize(
    ("size", "content"),
    [
        (5 * CHUNK, {0: 100, CHUNK + 3: BLOCK, 4 * CHUNK: 2 * BLOCK}),
        (3 * CHUNK + 12345, {CHUNK - 1: 2, 3 * CHUNK + 12344: 1}),
        (2 * CHUNK, {}),
        (2 * CHUNK, {0: 2 * CHUNK}),
        (1000, {0: 1000}),
        (BLOCK + 1, {BLOCK: 1}),
    ],
)
def test_blocks_of_a_sparse_disk(tmp_path: Path, size: int, content: dict[int, int]) -> None:
    whole = disk(tmp_path / "disk.raw", size, content)
    sparse.compress(tmp_path / "disk.raw", tmp_path / "disk.zst")
    assert unzipped(tmp_path / "disk.zst") == (expected(whole), size)


@pytest.mark.parametrize("options", [["-1"], ["-19", "--no-check"], ["-3", "--long=27"], ["-3", "--no-content-size"]])
def test_what_zstd_itself_wrote(tmp_path: Path, options: list[str]) -> None:
    whole = disk(tmp_path / "disk.raw", CHUNK, {BLOCK: 3 * BLOCK, CHUNK - 5: 5})
    subprocess.run(["zstd", "-q", *options, tmp_path / "disk.raw", "-o", tmp_path / "disk.zst"], check=True)
    assert unzipped(tmp_path / "disk.zst") == (expected(whole), CHUNK)


def test_skippable_frames_and_holes_of_odd_sizes(tmp_path: Path) -> None:
    """Frames whose holes end inside of a block, and one that holds no content at all (RFC 8878, section 3.1.2)."""
    pieces = [bytes(BLOCK + 1), b"x" * 10, bytes(3 * BLOCK), b"y", bytes(77)]
    frames = [
        subprocess.run(["zstd", "-qc"], input=piece, stdout=subprocess.PIPE, check=True).stdout for piece in pieces
    ]
    skippable = (0x184D2A57).to_bytes(4, "little") + (5).to_bytes(4, "little") + b"hello"
    (tmp_path / "disk.zst").write_bytes(frames[0] + skippable + b"".join(frames[1:]))
    whole = b"".join(pieces)
    assert unzipped(tmp_path / "disk.zst") == (expected(whole), len(whole))


def test_a_frame_inside_of_a_frame_is_content(tmp_path: Path) -> None:
    """A zstd file of zeros stored on the disk is not taken for a hole of the disk."""
    zeros = subprocess.run(["zstd", "-qc"], input=bytes(CHUNK), stdout=subprocess.PIPE, check=True).stdout
    source = random.Random(3)  # noqa: S311
    whole = source.randbytes(BLOCK) + zeros + source.randbytes(BLOCK)
    (tmp_path / "disk.raw").write_bytes(whole)
    sparse.compress(tmp_path / "disk.raw", tmp_path / "disk.zst")
    assert unzipped(tmp_path / "disk.zst") == (expected(whole), len(whole))


def test_a_file_that_is_cut_short_at_any_place_is_refused(tmp_path: Path) -> None:
    disk(tmp_path / "disk.raw", 2 * CHUNK, {0: 3000, CHUNK: 3000})
    sparse.compress(tmp_path / "disk.raw", tmp_path / "disk.zst")
    whole = (tmp_path / "disk.zst").read_bytes()
    second = len(whole) // 2
    for end in [0, 1, 4, 5, 7, 100, second - 1, second + 1, len(whole) - 3, len(whole) - 1]:
        (tmp_path / "cut.zst").write_bytes(whole[:end])
        with pytest.raises(IntegrityError):
            unzipped(tmp_path / "cut.zst")


def test_a_changed_byte_is_refused(tmp_path: Path) -> None:
    disk(tmp_path / "disk.raw", CHUNK, {0: CHUNK})
    sparse.compress(tmp_path / "disk.raw", tmp_path / "disk.zst")
    content = bytearray((tmp_path / "disk.zst").read_bytes())
    content[len(content) // 2] ^= 0x10
    (tmp_path / "disk.zst").write_bytes(content)
    with pytest.raises(IntegrityError):
        unzipped(tmp_path / "disk.zst")
