from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from vvctl.image.sparse import CHUNK, compress

MIB = 1 << 20


@pytest.mark.parametrize(
    "places",
    [
        pytest.param({}, id="nothing but a hole"),
        pytest.param({0: b"first"}, id="data at the start"),
        pytest.param({3 * CHUNK + 5: b"inner", 4 * CHUNK + 7: b"next chunk"}, id="data inside"),
        pytest.param({5 * CHUNK + MIB - 4: b"last"}, id="data at the end"),
    ],
)
def test_gives_the_same_bytes_back(places: dict[int, bytes], tmp_path: Path) -> None:
    raw, packed, again = tmp_path / "raw", tmp_path / "raw.zst", tmp_path / "again"
    with raw.open("wb") as file:
        file.truncate(5 * CHUNK + MIB)
        for place, content in places.items():
            file.seek(place)
            file.write(content)
    compress(raw, packed)
    subprocess.run(["zstd", "-q", "-d", packed, "-o", again], check=True)
    subprocess.run(["cmp", raw, again], check=True)
    assert packed.stat().st_size < MIB
