"""Which machine, disks and image are meant: said clearly, or refused clearly."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.doubles.appliance import Version
from vvctl.errors import VvctlError
from vvctl.upgrade.aws.discovery import discover
from vvctl.upgrade.aws.facts import Facts

from .platform import NAME, AwsPlatform


@pytest.fixture(autouse=True)
def environment(aws: AwsPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in aws.env().items():
        monkeypatch.setenv(key, value)


def test_by_name_and_by_id(aws: AwsPlatform) -> None:
    found = discover(NAME)
    assert found == discover(aws.instance.id)
    assert found["machine"] == f"{NAME} ({aws.instance.id})"
    assert found["data_disk"] == found["data_volume"] == aws.data.id
    assert (found["root_volume"], found["root_ends_with_machine"]) == (aws.root.id, True)
    assert json.loads(json.dumps(found)) == found
    assert "secret" not in json.dumps(found)
    assert Facts.of(found).as_json() == found


def test_the_newest_version_on_any_page(aws: AwsPlatform) -> None:
    newest = aws.publish(Version("1.10.0", 2, "0003"))
    aws.publish(Version("1.9.0", 2, "0003"))
    aws.machines.page = 1
    found = discover(NAME)
    assert (found["image"], found["version"], found["format_epoch"]) == (newest.id, "1.10.0", 2)
    assert aws.region.snapshots[found["snapshot"]].size_gib == 10


@pytest.mark.parametrize("machine", ["nobody", "i-00000000000000099"])
def test_no_such_machine(machine: str) -> None:
    with pytest.raises(VvctlError, match=f"no machine {machine} in eu-central-1") as raised:
        discover(machine)
    assert "--region" in raised.value.hint


def test_two_of_one_name(aws: AwsPlatform) -> None:
    from dataclasses import replace  # noqa: PLC0415

    aws.machines.instances["i-00000000000000aaa"] = replace(aws.instance, id="i-00000000000000aaa")
    with pytest.raises(VvctlError, match=r"2 machines are called .*i-00000000000000aaa"):
        discover(NAME)


def test_no_data_volume(aws: AwsPlatform) -> None:
    aws.data.attachment = None
    with pytest.raises(VvctlError, match="no data volume: nothing is attached as /dev/sdf, but there are /dev/xvda"):
        discover(NAME)


@pytest.mark.parametrize(
    ("tags", "says"), [({}, "does not say which version"), ({"voice-verify:version": "1.1.0"}, "format-epoch")]
)
def test_an_image_that_does_not_say_what_it_is(aws: AwsPlatform, tags: dict[str, Any], says: str) -> None:
    (image,) = aws.region.images.values()
    image.tags = tags
    with pytest.raises(VvctlError, match=says) as raised:
        discover(NAME, image.id)
    assert "set both in this account" in raised.value.hint


def test_no_image(aws: AwsPlatform) -> None:
    with pytest.raises(VvctlError, match="no image ami-00000000000000099"):
        discover(NAME, "ami-00000000000000099")
    aws.region.images.clear()
    with pytest.raises(VvctlError, match="no image of this account") as raised:
        discover(NAME)
    assert "vvctl publish aws" in raised.value.hint
