"""The double is as strict as EC2: what EC2 refuses, it refuses, with EC2's own code."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from .platform import REGION, ZONE, AwsPlatform


@pytest.fixture
def ec2(aws: AwsPlatform, monkeypatch: pytest.MonkeyPatch) -> Any:
    for key, value in aws.env().items():
        monkeypatch.setenv(key, value)
    return boto3.client("ec2", region_name=REGION, config=Config(retries={"total_max_attempts": 1}))


def refused(call: Callable[..., Any], **request: Any) -> str:
    with pytest.raises(ClientError) as raised:
        call(**request)
    return str(raised.value.response["Error"]["Code"])


def stop(aws: AwsPlatform, ec2: Any) -> None:
    ec2.stop_instances(InstanceIds=[aws.instance.id])
    while aws.instance.state != "stopped":
        ec2.describe_instances()
        time.sleep(0.02)


def make_volume(aws: AwsPlatform, ec2: Any, **changes: Any) -> str:
    snapshot = next(entry.id for entry in aws.region.snapshots.values() if entry.size_gib == 10)
    request = {"SnapshotId": snapshot, "AvailabilityZone": ZONE, "VolumeType": "gp3"} | changes
    volume = str(ec2.create_volume(**request)["VolumeId"])
    while aws.machines.volumes[volume].state == "creating":
        ec2.describe_volumes()
    return volume


def attach(aws: AwsPlatform, ec2: Any, volume: str, device: str = "/dev/sdg") -> None:
    ec2.attach_volume(VolumeId=volume, InstanceId=aws.instance.id, Device=device)


class TestVolumes:
    def test_an_attached_volume_is_not_attached_again_nor_deleted(self, aws: AwsPlatform, ec2: Any) -> None:
        data = aws.data.id
        assert refused(ec2.attach_volume, VolumeId=data, InstanceId=aws.instance.id, Device="/dev/sdg") == "VolumeInUse"
        assert refused(ec2.delete_volume, VolumeId=data) == "VolumeInUse"

    def test_the_root_volume_leaves_a_stopped_machine_only(self, aws: AwsPlatform, ec2: Any) -> None:
        assert refused(ec2.detach_volume, VolumeId=aws.root.id) == "OperationNotPermitted"
        stop(aws, ec2)
        ec2.detach_volume(VolumeId=aws.root.id)
        assert refused(ec2.detach_volume, VolumeId=aws.root.id) == "IncorrectState"
        assert refused(ec2.delete_volume, VolumeId=aws.root.id) == "VolumeInUse"
        while ec2.describe_volumes(VolumeIds=[aws.root.id])["Volumes"][0]["State"] != "available":
            pass
        assert refused(ec2.start_instances, InstanceIds=[aws.instance.id]) == "InvalidParameterValue"

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"Device": "/dev/sdf"}, "InvalidParameterValue"),
            ({"Device": "sdg"}, "InvalidParameterValue"),
            ({"InstanceId": "i-00000000000000099"}, "InvalidInstanceID.NotFound"),
            ({"VolumeId": "vol-00000000000000099"}, "InvalidVolume.NotFound"),
        ],
    )
    def test_a_wrong_attachment(self, aws: AwsPlatform, ec2: Any, change: dict[str, str], code: str) -> None:
        request = {"VolumeId": make_volume(aws, ec2), "InstanceId": aws.instance.id, "Device": "/dev/sdg"}
        assert refused(ec2.attach_volume, **request | change) == code

    def test_another_zone(self, aws: AwsPlatform, ec2: Any) -> None:
        volume = make_volume(aws, ec2, AvailabilityZone=f"{REGION}b")
        assert (
            refused(ec2.attach_volume, VolumeId=volume, InstanceId=aws.instance.id, Device="/dev/sdg")
            == "InvalidVolume.ZoneMismatch"
        )

    def test_attaching_takes_looks_and_forgets_what_ends_with_the_machine(self, aws: AwsPlatform, ec2: Any) -> None:
        volume = make_volume(aws, ec2)
        attach(aws, ec2, volume)
        states = []
        while not states or states[-1] != "attached":
            states.append(ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["Attachments"][0]["State"])
        assert states == ["attaching", "attached"]
        assert not aws.machines.volumes[volume].attachment.delete_on_termination  # type: ignore[union-attr]

    def test_a_client_token_makes_one_volume(self, aws: AwsPlatform, ec2: Any) -> None:
        first, second = (make_volume(aws, ec2, ClientToken="t") for _ in range(2))
        assert first == second
        with pytest.raises(ClientError, match="IdempotentParameterMismatch"):
            make_volume(aws, ec2, ClientToken="t", Size=20)

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"Size": 1}, "InvalidParameterValue"),
            ({"SnapshotId": "snap-00000000000000099"}, "InvalidSnapshot.NotFound"),
            ({"VolumeType": "gp2", "Iops": 3000}, "InvalidParameterCombination"),
            ({"AvailabilityZone": "nowhere-1a"}, "InvalidZone.NotFound"),
        ],
    )
    def test_a_wrong_volume(self, aws: AwsPlatform, ec2: Any, change: dict[str, Any], code: str) -> None:
        with pytest.raises(ClientError, match=code):
            make_volume(aws, ec2, **change)


class TestSnapshots:
    def test_the_point_in_time_is_that_of_the_call(self, aws: AwsPlatform, ec2: Any) -> None:
        snapshot = ec2.create_snapshot(VolumeId=aws.data.id)["SnapshotId"]
        aws.data.content.records["speakers"].append("written later")
        assert refused(ec2.create_volume, SnapshotId=snapshot, AvailabilityZone=ZONE) == "IncorrectState"
        while ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]["State"] != "completed":
            pass
        volume = make_volume(aws, ec2, SnapshotId=snapshot)
        assert "written later" not in aws.machines.volumes[volume].content.records["speakers"]


class TestMachine:
    def test_it_stops_in_its_own_time(self, aws: AwsPlatform, ec2: Any) -> None:
        ec2.stop_instances(InstanceIds=[aws.instance.id])
        assert refused(ec2.start_instances, InstanceIds=[aws.instance.id]) == "IncorrectInstanceState"
        stop(aws, ec2)
        assert aws.observe().running == frozenset()

    def test_one_that_starts_takes_no_volume_and_is_not_stopped(self, aws: AwsPlatform, ec2: Any) -> None:
        volume = make_volume(aws, ec2)
        stop(aws, ec2)
        ec2.start_instances(InstanceIds=[aws.instance.id])
        assert refused(ec2.stop_instances, InstanceIds=[aws.instance.id]) == "IncorrectInstanceState"
        with pytest.raises(ClientError, match="IncorrectState"):
            attach(aws, ec2, volume)

    def test_protected_from_being_stopped(self, aws: AwsPlatform, ec2: Any) -> None:
        aws.instance.disable_api_stop = True
        assert refused(ec2.stop_instances, InstanceIds=[aws.instance.id]) == "OperationNotPermitted"

    def test_a_key_that_cannot_be_used_shows_after_the_start(self, aws: AwsPlatform, ec2: Any) -> None:
        stop(aws, ec2)
        aws.data.key = "a key"
        aws.region.unusable_keys.add("a key")
        ec2.start_instances(InstanceIds=[aws.instance.id])
        while aws.instance.state == "pending":
            ec2.describe_instances()
        found = ec2.describe_instances()["Reservations"][0]["Instances"][0]
        assert (found["State"]["Name"], found["StateReason"]["Code"]) == ("stopped", "Client.InternalError")


class TestTemplates:
    def test_a_name_is_taken_once(self, ec2: Any) -> None:
        request: dict[str, Any] = {"LaunchTemplateName": "lock", "LaunchTemplateData": {"ImageId": "ami-1"}}
        made = ec2.create_launch_template(**request)["LaunchTemplate"]["LaunchTemplateId"]
        assert refused(ec2.create_launch_template, **request) == "InvalidLaunchTemplateName.AlreadyExistsException"
        ec2.delete_launch_template(LaunchTemplateId=made)
        assert refused(ec2.delete_launch_template, LaunchTemplateId=made) == "InvalidLaunchTemplateId.NotFound"
        ec2.create_launch_template(**request)


class TestLooks:
    def test_a_dry_run_changes_nothing_and_tells_of_rights(self, aws: AwsPlatform, ec2: Any) -> None:
        request: dict[str, Any] = {"InstanceIds": [aws.instance.id], "DryRun": True}
        assert refused(ec2.stop_instances, **request) == "DryRunOperation"
        aws.aws.allowed = set()
        assert refused(ec2.stop_instances, **request) == "UnauthorizedOperation"
        assert aws.instance.state == "running"
        assert aws.mutations() == []

    def test_pages(self, aws: AwsPlatform, ec2: Any) -> None:
        aws.machines.page = 1
        pages = list(ec2.get_paginator("describe_volumes").paginate())
        assert [len(page["Volumes"]) for page in pages] == [1, 1]
        request = {"VolumeIds": [aws.root.id], "MaxResults": 5}
        assert refused(ec2.describe_volumes, **request) == "InvalidParameterCombination"

    def test_what_was_made_is_not_seen_at_once(self, aws: AwsPlatform, ec2: Any) -> None:
        aws.machines.lag = 2
        ec2.create_launch_template(LaunchTemplateName="lock", LaunchTemplateData={"ImageId": "ami-1"})
        seen = [len(ec2.describe_launch_templates()["LaunchTemplates"]) for _ in range(3)]
        assert seen == [0, 0, 1]

    def test_a_clock_that_is_wrong(self, aws: AwsPlatform, ec2: Any) -> None:
        aws.aws.clock_s = 600
        assert refused(ec2.describe_instances) == "AuthFailure"
