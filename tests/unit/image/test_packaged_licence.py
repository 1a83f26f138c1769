"""A licence that the image is packaged with: checked first, and part of what the image is made from."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from voice_verify.licence import Licence, sign
from vvctl.image.build import INPUTS, Plan, make_plan
from vvctl.licence import files
from vvctl.licence.errors import LicencePast, LicenceRefused

TODAY = datetime.now(UTC).date()
VENDOR = Ed25519PrivateKey.generate()


@pytest.fixture(scope="module")
def checkout(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what an image is made from, with a vendor and a model of its own."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in (*INPUTS, "LICENSE"):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).symlink_to(root / name)
    content = yaml.safe_load((root / "appliance.yml").read_text(encoding="utf-8"))
    content["licence"]["issuers"] = [VENDOR.public_key().public_bytes_raw().hex()]
    (copy / "appliance.yml").unlink()
    (copy / "appliance.yml").write_text(yaml.safe_dump(content), encoding="utf-8")
    (copy / "build" / "model").mkdir(parents=True)
    (copy / "build" / "model" / "model.json").touch()
    return copy


@pytest.fixture
def plan(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path | None], Plan]:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1750000000")
    return lambda licence: make_plan(checkout, "http://mirror.test", None, licence)


def issue(folder: Path, name: str, *, days: int = 30, vendor: Ed25519PrivateKey = VENDOR) -> Path:
    """A licence that expires in so many days."""
    licence = Licence(
        id=str(uuid4()),
        customer="Example Bank",
        calls=50,
        features=["websocket"],
        issued=TODAY - timedelta(days=365),
        expires=TODAY + timedelta(days=days),
    )
    files.write(folder / name, sign(licence, vendor))
    return folder / name


def test_each_licence_makes_an_image_of_its_own(tmp_path: Path, plan: Callable[[Path | None], Plan]) -> None:
    one, other = (issue(tmp_path, name) for name in ("one.json", "other.json"))
    same = tmp_path / "same.json"
    same.write_text(json.dumps(json.loads(one.read_text()), indent=2))
    assert plan(one).build_id == plan(same).build_id
    assert len({plan(licence).build_id for licence in (None, one, other)}) == 3
    assert plan(None).licence is None


def test_no_image_is_packaged_with_what_its_machines_would_refuse(
    tmp_path: Path, plan: Callable[[Path | None], Plan]
) -> None:
    stranger = issue(tmp_path, "stranger.json", vendor=Ed25519PrivateKey.generate())
    changed = issue(tmp_path, "changed.json")
    changed.write_text(changed.read_text().replace('"calls":50', '"calls":51'))
    for refused in (stranger, changed, tmp_path / "missing.json"):
        with pytest.raises(LicenceRefused, match=refused.name):
            plan(refused)
    with pytest.raises(LicencePast):
        plan(issue(tmp_path, "old.json", days=-1))
