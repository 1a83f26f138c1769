"""What is found before anything is done, on a machine that need not run for it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.doubles.appliance import B
from vvctl.errors import IntegrityError
from vvctl.upgrade.errors import LockedByAnother
from vvctl.upgrade.local.facts import NoMachine, discover
from vvctl.upgrade.local.home import Home
from vvctl.upgrade.local.provider import LocalProvider, make

from .platform import LocalPlatform

Found = Callable[[], list[str]]


@pytest.fixture
def home(served: LocalPlatform) -> Home:
    return served.make()


@pytest.fixture
def image(served: LocalPlatform, tmp_path: Path) -> Path:
    """A copy that may be harmed."""
    return Path(shutil.copy(served.images.ova(B), tmp_path))


@pytest.fixture
def provider(home: Home, image: Path) -> LocalProvider:
    return make(discover(home.path, image), "u1", 0.2)


@pytest.fixture
def found(provider: LocalProvider) -> Found:
    return lambda: [finding.problem for finding in provider.preflight()]


def test_nothing_stands_in_the_way(found: Found) -> None:
    assert found() == []


def test_a_truncated_image(found: Found, image: Path) -> None:
    os.truncate(image, image.stat().st_size // 2)
    (problem,) = found()
    assert "is damaged" in problem


def test_an_image_with_a_wrong_byte(found: Found, image: Path) -> None:
    content = bytearray(image.read_bytes())
    content[len(content) // 2] ^= 1
    image.write_bytes(content)
    (problem,) = found()
    assert "is damaged" in problem


def test_an_upgrade_that_is_not_final(found: Found, home: Home) -> None:
    (home.path / "safety-u0").symlink_to("disks/data.qcow2")
    (problem,) = found()
    assert "is not final: safety-u0" in problem


def test_another_system_is_in_charge(found: Found, home: Home) -> None:
    home.active.unlink()
    home.active.symlink_to("systems/another")
    (problem,) = found()
    assert "is not in charge any more" in problem


def test_no_room(found: Found, image: Path) -> None:
    # A file that is larger than what is free, without taking any room.
    os.truncate(image, shutil.disk_usage(image).free)
    assert "MiB of room" in found()[-1]


def test_no_machine(tmp_path: Path, image: Path) -> None:
    with pytest.raises(NoMachine, match="holds no machine") as caught:
        discover(tmp_path, image)
    assert "vvctl local create" in caught.value.hint


def test_no_data_disk(home: Home, image: Path) -> None:
    (home.disks / "data.qcow2").unlink()
    with pytest.raises(NoMachine, match="no data disk"):
        discover(home.path, image)


def test_no_image(home: Home, tmp_path: Path) -> None:
    other = tmp_path / "other.ova"
    other.write_bytes(b"an ISO, perhaps" * 1000)
    with pytest.raises(IntegrityError, match=r"other\.ova"):
        discover(home.path, other)


def test_a_machine_has_one_upgrade_at_a_time(home: Home, image: Path) -> None:
    facts = discover(home.path, image)
    first, second = make(facts, "u1", 0.2), make(facts, "u2", 0.2)
    first.lock()
    first.lock()
    with pytest.raises(LockedByAnother, match="has been upgrading this machine since"):
        second.lock()
    second.unlock()
    assert first.observe().lock == "u1"
    first.unlock()
    assert first.observe().lock is None
    assert list(home.path.glob("lock*")) == []
