"""Unpublishing removes what publish made, asks first, and touches nothing else. Run as the command is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import boto3
import pytest
from typer.testing import CliRunner, Result

from tests.doubles.aws.faults import Fault
from vvctl.cli import app
from vvctl.errors import VvctlError
from vvctl.publish.aws.errors import AwsError

from .conftest import OTHER_REGION, REGION, Engineer


@pytest.fixture(autouse=True)
def in_checkout(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)


def unpublish(engineer: Engineer, *options: str, answer: str = "") -> Result:
    name = engineer.release.image_name
    arguments = ["unpublish", "aws", "--name", name, "--journal", str(engineer.journals), *options]
    return CliRunner().invoke(app, arguments, input=answer)


def left(engineer: Engineer) -> list[str]:
    return [name for region in engineer.aws.account.regions for name in [*region.images, *region.snapshots]]


def test_everything_is_removed_in_every_region_that_the_journal_names(engineer: Engineer) -> None:
    engineer.publish(copies={OTHER_REGION: None})
    result = unpublish(engineer, "--yes")
    assert result.exit_code == 0, result.output
    assert left(engineer) == []
    assert list(engineer.journals.iterdir()) == []


def test_without_a_journal_the_tags_say_what_is_ours(engineer: Engineer) -> None:
    engineer.publish(copies={OTHER_REGION: None})
    shutil.rmtree(engineer.journals)
    assert unpublish(engineer, "--yes").exit_code == 0
    assert {region.name for region in engineer.aws.account.regions if region.images} == {OTHER_REGION}
    assert unpublish(engineer, "--yes", "--copy-to", OTHER_REGION).exit_code == 0
    assert left(engineer) == []


def test_it_asks_and_names_what_it_would_remove(engineer: Engineer) -> None:
    engineer.publish()
    before = left(engineer)
    result = unpublish(engineer, answer="n\n")
    assert isinstance(result.exception, VvctlError)
    assert all(name in result.output for name in before)
    assert left(engineer) == before
    assert unpublish(engineer, answer="y\n").exit_code == 0
    assert left(engineer) == []


def test_nobody_to_ask_is_no(engineer: Engineer) -> None:
    engineer.publish()
    assert isinstance(unpublish(engineer).exception, VvctlError)
    assert len(left(engineer)) == 3


def test_a_dry_run_removes_nothing(engineer: Engineer) -> None:
    engineer.publish()
    before = left(engineer)
    result = unpublish(engineer, "--dry-run", "--json")
    assert [*json.loads(result.stdout)["resources"][0]["images"]] == before[:1]
    assert left(engineer) == before


def test_an_interrupted_upload_leaves_nothing_behind(engineer: Engineer) -> None:
    engineer.aws.faults.arm(Fault("refuse", nth=3, operation="PutSnapshotBlock"))
    with pytest.raises(AwsError):
        engineer.publish()
    assert len(left(engineer)) == 2
    assert unpublish(engineer, "--yes").exit_code == 0
    assert left(engineer) == []


def test_what_others_made_stays(engineer: Engineer) -> None:
    engineer.publish()
    engineer.publish(name="another release")
    before = set(left(engineer))
    ours = {name for name in before if engineer.release.image_name in str(_tags(engineer, name))}
    assert unpublish(engineer, "--yes").exit_code == 0
    assert set(left(engineer)) == before - ours


def _tags(engineer: Engineer, identifier: str) -> dict[str, str]:
    place = engineer.aws.account.region(REGION)
    thing = place.images.get(identifier) or place.snapshots[identifier]
    return thing.tags


def test_nothing_is_removed_while_another_image_needs_a_snapshot(engineer: Engineer) -> None:
    engineer.publish()
    (image,) = engineer.aws.account.region(REGION).images.values()
    boto3.client("ec2", region_name=REGION).register_image(
        Name="somebody's own",
        RootDeviceName="/dev/xvda",
        BlockDeviceMappings=[
            {"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": image.devices["/dev/xvda"]["SnapshotId"]}}
        ],
    )
    before = left(engineer)
    result = unpublish(engineer, "--yes")
    assert isinstance(result.exception, VvctlError)
    assert "somebody's own" in result.exception.message
    assert left(engineer) == before


def test_a_removal_that_failed_is_finished_by_the_next(engineer: Engineer) -> None:
    for number, operation in enumerate(["DeregisterImage", "DeleteSnapshot", "DeleteSnapshot"], start=1):
        engineer.publish()
        engineer.aws.faults.arm(Fault("refuse", nth=max(1, number - 1), operation=operation))
        assert isinstance(unpublish(engineer, "--yes").exception, VvctlError)
        engineer.aws.faults.arm(Fault("drop_after", nth=1, operation="DeleteSnapshot"))
        assert unpublish(engineer, "--yes").exit_code == 0
        assert left(engineer) == []
        engineer.aws.faults.arm()
