"""What every kind of test may ask for: the checkout and its appliance.yml."""

from __future__ import annotations

from pathlib import Path

import pytest

from vvctl.appliance import Appliance, find_root, load


@pytest.fixture(scope="session")
def root() -> Path:
    return find_root(Path(__file__).parent)


@pytest.fixture(scope="session")
def appliance(root: Path) -> Appliance:
    return load(root / "appliance.yml")
