"""Everything that can be refused before a byte is uploaded, is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from vvctl.publish.aws.cloud import Cloud
from vvctl.publish.aws.errors import AwsError
from vvctl.publish.aws.plan import Plan

# What GetEbsDefaultKmsKeyId answers as long as nobody chose another one.
_AWS_MANAGED = "alias/aws/ebs"
# Identifiers of the right form that nothing has: a dry run checks the right to the action first.
_NO_IMAGE, _NO_SNAPSHOT = "ami-00000000000000000", "snap-00000000000000000"


class NotShareable(AwsError):
    """Other accounts could never read what is encrypted with a key that AWS manages."""

    code = "aws_not_shareable"


def check(cloud: Cloud, plan: Plan) -> Plan:
    """Check regions, keys, sharing and rights; returns the plan with the keys' ARNs.

    Raises AwsError: MissingPermission names the action, NotShareable the region.
    """
    _check_regions(cloud, plan)
    plan = replace(
        plan,
        kms_key=plan.kms_key and _usable_key(cloud, plan.region, plan.kms_key),
        copies={region: key and _usable_key(cloud, region, key) for region, key in plan.copies.items()},
    )
    if plan.accounts:
        for region, key in plan.keys.items():
            _check_shareable(cloud, region, key, encrypted=plan.encrypted)
    for call, request in _dry_runs(cloud, plan):
        cloud.require_right(call, **request)
    return plan


def _check_regions(cloud: Cloud, plan: Plan) -> None:
    if not plan.copies:
        return
    regions = cloud.call(cloud.ec2(plan.region).describe_regions, AllRegions=True)["Regions"]
    status = {region["RegionName"]: region["OptInStatus"] for region in regions}
    for region in plan.copies:
        if region not in status:
            raise AwsError(f"AWS knows no region {region}", hint=f"it has {', '.join(sorted(status))}")
        if status[region] == "not-opted-in":
            raise AwsError(f"the account has not opted in to {region}", hint="enable it under Account, AWS Regions")


def _usable_key(cloud: Cloud, region: str, key: str) -> str:
    """The ARN of `key`, when EBS can encrypt with it."""
    found = cloud.call(cloud.kms(region).describe_key, KeyId=key)["KeyMetadata"]
    if found["KeyState"] != "Enabled" or found["KeySpec"] != "SYMMETRIC_DEFAULT":
        raise AwsError(
            f"EBS cannot encrypt with {found['Arn']}: it is {found['KeyState']}, {found['KeySpec']}",
            hint="give an enabled symmetric key",
        )
    return found["Arn"]


def _check_shareable(cloud: Cloud, region: str, key: str | None, *, encrypted: bool) -> None:
    ec2 = cloud.ec2(region)
    if not encrypted and not cloud.call(ec2.get_ebs_encryption_by_default)["EbsEncryptionByDefault"]:
        return
    key = key or cloud.call(ec2.get_ebs_default_kms_key_id)["KmsKeyId"]
    if (
        key == _AWS_MANAGED
        or cloud.call(cloud.kms(region).describe_key, KeyId=key)["KeyMetadata"]["KeyManager"] == "AWS"
    ):
        raise NotShareable(
            f"snapshots in {region} would be encrypted with the key that AWS manages for EBS ({key}), "
            "and AWS shares no such snapshot",
            hint="name a customer managed key (--kms-key, --copy-to REGION=KEY), or do not --share",
        )


def _dry_runs(cloud: Cloud, plan: Plan) -> list[tuple[Callable[..., Any], dict[str, Any]]]:
    ec2 = cloud.ec2(plan.region)
    calls: list[tuple[Callable[..., Any], dict[str, Any]]] = [
        (
            ec2.register_image,
            {
                "Name": plan.name,
                "RootDeviceName": "/dev/xvda",
                "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"SnapshotId": _NO_SNAPSHOT}}],
            },
        )
    ]
    if plan.accounts:
        permission: dict[str, Any] = {"OperationType": "add", "UserIds": list(plan.accounts)}
        calls += [
            (
                ec2.modify_image_attribute,
                {"ImageId": _NO_IMAGE, "Attribute": "launchPermission", **permission},
            ),
            (
                ec2.modify_snapshot_attribute,
                {"SnapshotId": _NO_SNAPSHOT, "Attribute": "createVolumePermission", **permission},
            ),
        ]
    copy = {"Name": plan.name, "SourceImageId": _NO_IMAGE, "SourceRegion": plan.region}
    return calls + [(cloud.ec2(region).copy_image, copy) for region in plan.copies]
