from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.upgrade.operator import Operator
from vvctl.appliance import Appliance

from .platform import PATIENT, LocalPlatform, platform


@pytest.fixture(scope="package")
def served(root: Path, appliance: Appliance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalPlatform]:
    with platform(tmp_path_factory.mktemp("local"), root, appliance) as made:
        yield made


@pytest.fixture
def running(served: LocalPlatform) -> LocalPlatform:
    """A machine in which version A runs, and the OVA of B."""
    served.reset()
    return served


@pytest.fixture
def operator(served: LocalPlatform, tmp_path: Path) -> Operator:
    return Operator(served, tmp_path / "journal", PATIENT)
