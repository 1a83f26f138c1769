"""appliance.yml: what is refused, and that the message names the key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from vvctl.appliance import find_root, load
from vvctl.errors import ConfigurationError

ROOT = find_root(Path(__file__).parent)

Change = Callable[[dict[str, Any]], None]


@pytest.fixture
def changed(tmp_path: Path) -> Callable[[Change], Path]:
    """A copy of appliance.yml after `change`."""

    def write(change: Change) -> Path:
        content = yaml.safe_load((ROOT / "appliance.yml").read_text(encoding="utf-8"))
        change(content)
        path = tmp_path / "appliance.yml"
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        return path

    return write


def test_ours_is_accepted() -> None:
    assert load(ROOT / "appliance.yml").product.name == "voice-verify"


def port(name: str) -> Change:
    return lambda content: content["ports"].append(
        {
            "name": name,
            "first": 20100,
            "protocols": ["udp"],
            "purpose": "x",
            "open": "default",
            "sources": "call_sources",
        }
    )


WRONG: list[tuple[Change, str]] = [
    (lambda c: c["ovf"]["properties"].append(dict(c["ovf"]["properties"][0], key="x")), "follow each other"),
    (lambda c: c["product"].update(colour="red"), "product.colour"),
    (lambda c: c["disks"]["data"].update(lable="x"), "disks.data.lable"),
    (lambda c: c["product"].update(version="1.0"), "product.version"),
    (lambda c: c["disks"]["system"].update(size_gb=0), "disks.system.size_gb"),
    (lambda c: c["disks"]["data"].update(label="vv-system"), "told apart by label"),
    (lambda c: c["disks"]["data"].update(label="a-label-of-over-sixteen"), "disks.data.label"),
    (lambda c: c["ports"][0].update(first=70000), "ports.0.first"),
    (lambda c: c["ports"][0].update(open="sometimes"), "ports.0.open"),
    (lambda c: c["ports"][0].update(last=1), "last (1) must be above first (22)"),
    (port("more"), "more (20100) overlaps rtp (20000-20350)"),
    (port("rtp"), "the name rtp stands twice"),
    (lambda c: c["telephony"].update(worker_port=20001), "nothing else has: ['rtp']"),
    (lambda c: c["telephony"].update(edge_port=c["telephony"]["worker_port"]), "two that nothing else has"),
    (lambda c: c["paths"].update(journal="/var/log/journal"), "paths.journal"),
    (lambda c: c["accounts"].update(postgres=981), "same number"),
    (lambda c: c["accounts"].update(postgres=5), "accounts.postgres"),
    (lambda c: c["tiers"].reverse(), "tiers"),
    (lambda c: c["tiers"][-1].update(calls=176), "175 pairs, too few for 176 calls"),
    (lambda c: c["model"]["embedding"].update(wheel_sha256="abc"), "model.embedding.wheel_sha256"),
    (lambda c: c["ovf"].update(hardware_version=9), "ovf.hardware_version"),
    (lambda c: c.pop("retention"), "retention"),
]


@pytest.mark.parametrize(("change", "names"), WRONG, ids=[names for _, names in WRONG])
def test_refuses_a_wrong_value_and_names_it(changed: Callable[[Change], Path], change: Change, names: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        load(changed(change))
    assert names in refusal.value.message


def test_refuses_what_is_not_yaml(tmp_path: Path) -> None:
    path = tmp_path / "appliance.yml"
    path.write_text("product: [", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="not valid YAML"):
        load(path)


def test_says_when_there_is_no_checkout(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no appliance\.yml"):
        find_root(tmp_path)


def test_checkout_is_found_from_every_folder_of_it() -> None:
    assert find_root(ROOT / "ansible") == find_root(ROOT / "ansible/tasks") == find_root(ROOT) == ROOT
