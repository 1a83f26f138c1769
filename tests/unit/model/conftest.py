from __future__ import annotations

from pathlib import Path

import pytest

from vvctl.appliance import Models, find_root, load

ROOT = find_root(Path(__file__).parent)


@pytest.fixture(scope="session")
def pins() -> Models:
    return load(ROOT / "appliance.yml").model


@pytest.fixture(scope="session")
def wheels(pins: Models) -> Path:
    """The wheels that `vvctl model build` fetched."""
    cache = ROOT / "build" / "cache" / "wheels"
    for pinned in (pins.embedding, pins.vad):
        if not list(cache.glob(f"{pinned.wheel.replace('-', '_')}-{pinned.wheel_version}-*.whl")):
            pytest.fail(f"no wheel of {pinned.wheel} in {cache}: run `make model` first")
    return cache
