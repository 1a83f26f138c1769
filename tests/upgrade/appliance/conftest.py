"""Three releases, and a machine that begins with the first."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.image import voices

from . import contents, versions
from .machine import Machine

_CORES = 2


@pytest.fixture(scope="session")
def folder(root: Path) -> Path:
    """On the file system of build/, since /tmp may be memory; the images stay for the next run."""
    return root / "build" / "versions"


@pytest.fixture(scope="session")
def vendor(folder: Path) -> tuple[Path, str]:
    return versions.vendor(folder)


@pytest.fixture(scope="session")
def first(root: Path, folder: Path, vendor: tuple[Path, str]) -> Path:
    return versions.build(root, folder, versions.FIRST, vendor[1])


@pytest.fixture(scope="session")
def second(root: Path, folder: Path, vendor: tuple[Path, str]) -> Path:
    return versions.build(root, folder, versions.SECOND, vendor[1])


@pytest.fixture(scope="session")
def broken(root: Path, folder: Path, vendor: tuple[Path, str]) -> Path:
    return versions.build(root, folder, versions.BROKEN, vendor[1])


@pytest.fixture(scope="session")
def measured(root: Path) -> Iterator[dict[str, Any]]:
    """What is measured; ends in build/reports/upgrade.json."""
    found: dict[str, Any] = {}
    yield found
    path = root / "build/reports/upgrade.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(f"\n{path}:\n{json.dumps(found, indent=2)}")


@pytest.fixture(scope="session")
def machine(folder: Path, first: Path, vendor: tuple[Path, str], measured: dict[str, Any]) -> Iterator[Machine]:
    """The first release in use."""
    licence = versions.licence(folder, vendor[0])
    with TemporaryDirectory(prefix="run-", dir=folder) as run:
        made = Machine(Path(run), first, _CORES)
        try:
            measured["first_boot_s"] = made.start()
            contents.fill(made, licence)
            yield made
        finally:
            made.close()


@pytest.fixture(scope="session")
def recording(folder: Path) -> Path:
    """What the canary says."""
    path = folder / "canary.wav"
    path.write_bytes(voices.speech(voices.TARGET, 6))
    return path
