"""The double is as strict as AWS: what AWS refuses, it refuses, with AWS's own code."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.doubles.aws.server import Aws

from .conftest import REGION

BLOCK = 512 << 10
ONES = b"\1" * BLOCK


@pytest.fixture(scope="module")
def ebs(server: Aws) -> Any:
    return boto3.client("ebs", region_name=REGION, config=_once())


@pytest.fixture(scope="module")
def ec2(server: Aws) -> Any:
    return boto3.client("ec2", region_name=REGION, config=_once())


def _once() -> Any:
    from botocore.config import Config  # noqa: PLC0415

    return Config(retries={"total_max_attempts": 1})


def checksum(content: bytes) -> str:
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


def put(ebs: Any, snapshot: str, **changes: Any) -> None:
    request = {
        "SnapshotId": snapshot,
        "BlockIndex": 0,
        "BlockData": ONES,
        "DataLength": BLOCK,
        "Checksum": checksum(ONES),
        "ChecksumAlgorithm": "SHA256",
    }
    ebs.put_snapshot_block(**request | changes)


def complete(ebs: Any, snapshot: str, **changes: Any) -> None:
    aggregate = base64.b64encode(hashlib.sha256(hashlib.sha256(ONES).digest()).digest()).decode()
    request = {
        "SnapshotId": snapshot,
        "ChangedBlocksCount": 1,
        "Checksum": aggregate,
        "ChecksumAlgorithm": "SHA256",
        "ChecksumAggregationMethod": "LINEAR",
    }
    ebs.complete_snapshot(**request | changes)


def refused(raised: pytest.ExceptionInfo[ClientError]) -> str:
    return str(raised.value.response["Error"]["Code"])


@pytest.fixture
def pending(aws: Aws, ebs: Any) -> str:
    return str(ebs.start_snapshot(VolumeSize=1)["SnapshotId"])


@pytest.fixture
def ready(aws: Aws, ebs: Any, ec2: Any, pending: str) -> str:
    put(ebs, pending)
    complete(ebs, pending)
    while ec2.describe_snapshots(SnapshotIds=[pending])["Snapshots"][0]["State"] != "completed":
        pass
    return pending


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"Checksum": checksum(b"other")}, "INVALID_PARAMETER_VALUE"),
        ({"BlockData": b"short"}, "INVALID_PARAMETER_VALUE"),
        ({"DataLength": 1}, "INVALID_PARAMETER_VALUE"),
        ({"BlockIndex": 2048}, "INVALID_BLOCK"),
        ({"SnapshotId": "snap-0"}, "SNAPSHOT_NOT_FOUND"),
    ],
)
def test_a_wrong_block(ebs: Any, pending: str, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ClientError) as raised:
        put(ebs, pending, **changes)
    assert raised.value.response["Reason"] == reason


@pytest.mark.parametrize("changes", [{"ChangedBlocksCount": 2}, {"Checksum": checksum(b"other")}])
def test_a_wrong_completion(ebs: Any, pending: str, changes: dict[str, Any]) -> None:
    put(ebs, pending)
    with pytest.raises(ClientError) as raised:
        complete(ebs, pending, **changes)
    assert refused(raised) == "ValidationException"


def test_a_completed_snapshot_takes_no_more(ebs: Any, ready: str) -> None:
    for work in (put, complete):
        with pytest.raises(ClientError) as raised:
            work(ebs, ready)
        assert refused(raised) == "ValidationException"


def test_a_pending_snapshot_cannot_be_read(ebs: Any, pending: str) -> None:
    with pytest.raises(ClientError):
        ebs.list_snapshot_blocks(SnapshotId=pending)


def test_a_block_needs_its_own_token(ebs: Any, ready: str) -> None:
    token = ebs.list_snapshot_blocks(SnapshotId=ready)["Blocks"][0]["BlockToken"]
    assert ebs.get_snapshot_block(SnapshotId=ready, BlockIndex=0, BlockToken=token)["BlockData"].read() == ONES
    with pytest.raises(ClientError):
        ebs.get_snapshot_block(SnapshotId=ready, BlockIndex=0, BlockToken="b3RoZXI=")


def test_a_client_token_makes_one_snapshot(aws: Aws, ebs: Any) -> None:
    first, second = (ebs.start_snapshot(VolumeSize=1, ClientToken="t")["SnapshotId"] for _ in range(2))
    assert first == second
    with pytest.raises(ClientError) as raised:
        ebs.start_snapshot(VolumeSize=2, ClientToken="t")
    assert refused(raised) == "ConflictException"


def test_a_snapshot_expires(aws: Aws, ebs: Any, ec2: Any, pending: str) -> None:
    aws.account.region(REGION).snapshots[pending].timeout_s = -1.0
    with pytest.raises(ClientError) as raised:
        put(ebs, pending)
    assert raised.value.response["Reason"] == "WRITE_REQUEST_TIMEOUT"
    assert ec2.describe_snapshots(SnapshotIds=[pending])["Snapshots"][0]["State"] == "error"


def register(ec2: Any, snapshot: str, ebs: dict[str, Any] | None = None, **changes: Any) -> str:
    request = {
        "Name": "an image",
        "RootDeviceName": "/dev/xvda",
        "VirtualizationType": "hvm",
        "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": snapshot, **(ebs or {})}}],
    }
    return str(ec2.register_image(**request | changes)["ImageId"])


@pytest.mark.parametrize(
    ("mapping", "changes", "code"),
    [
        ({"SnapshotId": "snap-00000000000000099"}, {}, "InvalidSnapshot.NotFound"),
        ({"Encrypted": True}, {}, "InvalidBlockDeviceMapping"),
        ({"VolumeType": "floppy"}, {}, "InvalidParameterValue"),
        ({}, {"RootDeviceName": "/dev/sda1"}, "InvalidBlockDeviceMapping"),
        ({}, {"Name": "a+b"}, "InvalidAMIName.Malformed"),
        ({}, {"EnaSupport": True, "VirtualizationType": "paravirtual"}, "InvalidParameterCombination"),
        ({}, {"TpmSupport": "v2.0", "BootMode": "legacy-bios"}, "InvalidParameterCombination"),
        ({}, {"TagSpecifications": [{"ResourceType": "volume", "Tags": []}]}, "InvalidParameterValue"),
    ],
)
def test_a_wrong_image(ec2: Any, ready: str, mapping: dict[str, Any], changes: dict[str, Any], code: str) -> None:
    with pytest.raises(ClientError) as raised:
        register(ec2, ready, mapping, **changes)
    assert refused(raised) == code


def test_an_image_needs_completed_snapshots_large_enough_volumes_and_a_name_of_its_own(
    aws: Aws, ebs: Any, ec2: Any, pending: str
) -> None:
    with pytest.raises(ClientError) as raised:
        register(ec2, pending)
    assert refused(raised) == "IncorrectState"
    snapshot = aws.account.region(REGION).snapshots[pending]
    snapshot.state, snapshot.size_gib = "completed", 3
    with pytest.raises(ClientError) as raised:
        register(ec2, pending, {"VolumeSize": 2})
    assert refused(raised) == "InvalidBlockDeviceMapping"
    register(ec2, pending)
    with pytest.raises(ClientError) as raised:
        register(ec2, pending)
    assert refused(raised) == "InvalidAMIName.Duplicate"


def test_an_image_keeps_its_snapshot(ec2: Any, ready: str) -> None:
    image = register(ec2, ready)
    with pytest.raises(ClientError) as raised:
        ec2.delete_snapshot(SnapshotId=ready)
    assert refused(raised) == "InvalidSnapshot.InUse"
    ec2.deregister_image(ImageId=image)
    ec2.delete_snapshot(SnapshotId=ready)


def test_an_image_that_is_not_available_cannot_be_shared_or_copied(ec2: Any, ready: str) -> None:
    image = register(ec2, ready)
    with pytest.raises(ClientError) as raised:
        ec2.modify_image_attribute(
            ImageId=image, Attribute="launchPermission", OperationType="add", UserIds=["210987654321"]
        )
    assert refused(raised) == "IncorrectState"
    with pytest.raises(ClientError) as raised:
        ec2.copy_image(Name="copy", SourceImageId=image, SourceRegion=REGION)
    assert refused(raised) == "InvalidAMIID.Unavailable"


def test_what_the_default_key_encrypts_cannot_be_shared(ebs: Any, ec2: Any, aws: Aws) -> None:
    snapshot = ebs.start_snapshot(VolumeSize=1, Encrypted=True)["SnapshotId"]
    with pytest.raises(ClientError) as raised:
        ec2.modify_snapshot_attribute(
            SnapshotId=snapshot, Attribute="createVolumePermission", OperationType="add", UserIds=["210987654321"]
        )
    assert refused(raised) == "OperationNotPermitted"


def test_an_unsigned_request(aws: Aws, ebs: Any) -> None:
    import httpx  # noqa: PLC0415

    assert httpx.post(f"{ebs.meta.endpoint_url}/snapshots", json={"VolumeSize": 1}).status_code == 403
