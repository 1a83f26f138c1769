"""What a person asks for: which image, where, encrypted how, shared with whom."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from vvctl.appliance import Appliance
from vvctl.errors import VvctlError
from vvctl.publish.aws.release import Release

# docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RegisterImage.html, Name.
_IMAGE_NAME = re.compile(r"[A-Za-z0-9()\[\] ./'@_-]{3,128}")
_ACCOUNT = re.compile(r"[0-9]{12}")
_KEY_ARN = re.compile(r"arn:aws[a-z-]*:kms:(?P<region>[a-z0-9-]+):[0-9]{12}:key/.+")
# docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html, tag restrictions.
_TAG_KEY_LENGTH, _TAG_VALUE_LENGTH, _TAGS = 128, 256, 50
_BOOT_MODES = {"bios": "legacy-bios", "efi": "uefi"}


class WrongPlan(VvctlError):
    """What was asked for cannot be, whatever AWS says."""

    code = "usage"
    exit_status = 2


@dataclass(frozen=True)
class Plan:
    """One image in one account: `copies` are the other regions, each with the ARN of its KMS key or None.

    Raises WrongPlan when a value cannot be.
    """

    name: str
    region: str
    encrypt: bool = False
    kms_key: str | None = None
    copies: dict[str, str | None] = field(default_factory=dict)
    accounts: tuple[str, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _IMAGE_NAME.fullmatch(self.name):
            raise WrongPlan(f"{self.name!r} is no name for an image", hint="3 to 128 letters, digits and ()[] ./-'@_")
        if self.region in self.copies:
            raise WrongPlan(f"{self.region} is where the image is made; it cannot be copied there as well")
        for account in self.accounts:
            if not _ACCOUNT.fullmatch(account):
                raise WrongPlan(f"{account} is no AWS account", hint="an account is a number of 12 digits")
        for region, key in self.keys.items():
            if key and (not (arn := _KEY_ARN.fullmatch(key)) or arn["region"] != region):
                raise WrongPlan(f"{key} is not the ARN of a KMS key in {region}")
        if any(self.copies.values()) and not self.encrypted:
            raise WrongPlan("a copy has a KMS key, but the image is not to be encrypted", hint="add --encrypt")
        for key, value in self.tags.items():
            if not key or len(key) > _TAG_KEY_LENGTH or len(value) > _TAG_VALUE_LENGTH or key.startswith("aws:"):
                raise WrongPlan(f"{key}={value} is no tag that AWS takes")

    @property
    def encrypted(self) -> bool:
        return self.encrypt or self.kms_key is not None

    @property
    def keys(self) -> dict[str, str | None]:
        """The KMS key by region; None stands for the region's default key."""
        return {self.region: self.kms_key, **self.copies}

    @property
    def regions(self) -> tuple[str, ...]:
        """Every region, the one where the image is made first."""
        return (self.region, *self.copies)


class Labels:
    """The tags by which all that was made is found again: `publication` is one run's identity, kept by its journal."""

    def __init__(self, product: str) -> None:
        self.publication = f"{product}:publication"
        self.image = f"{product}:image"
        self.content = f"{product}:content"
        self.build = f"{product}:build"
        self.version = f"{product}:version"
        # An upgrade asks for these two before it makes anything of the image.
        self.format_epoch = f"{product}:format-epoch"
        self.commit = f"{product}:commit"

    def all(self, plan: Plan, release: Release, publication: str) -> dict[str, str]:
        """Tags of the image and its snapshots; raises WrongPlan when the person's own collide with ours."""
        ours = {
            "Name": plan.name,
            self.publication: publication,
            self.image: plan.name,
            self.content: release.content,
            self.build: release.build,
            self.version: release.version,
            self.format_epoch: str(release.format_epoch),
            self.commit: release.commit,
        }
        if clash := (ours.keys() - {"Name"}) & plan.tags.keys():
            raise WrongPlan(f"the tag {min(clash)} is given by vvctl")
        if len(tags := ours | plan.tags) > _TAGS:
            raise WrongPlan(f"AWS takes {_TAGS} tags; these are {len(tags)} with vvctl's own")
        return tags


def tag_list(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def tag_dict(tags: Any) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in tags or ()}


def image_attributes(appliance: Appliance, release: Release) -> dict[str, Any]:
    """What RegisterImage is told and DescribeImages answers, but for name, tags and disks."""
    return {
        "Description": f"{release.title} {release.version} ({release.build})",
        "Architecture": {"amd64": "x86_64"}[appliance.os.architecture],
        "VirtualizationType": "hvm",
        "RootDeviceName": appliance.aws.root_device,
        # The firmware that tests/image boots the disks with.
        "BootMode": _BOOT_MODES[appliance.ovf.firmware],
        "EnaSupport": True,
        # IMDSv2 only: the user data of an instance says who may log in.
        "ImdsSupport": "v2.0",
    }


def volume_attributes(appliance: Appliance, disk: str) -> dict[str, Any]:
    """How a volume is made of the snapshot of `disk`; the data disk outlives the instance."""
    return {"VolumeType": appliance.aws.volume_type, "DeleteOnTermination": disk != "data"}


def devices(appliance: Appliance) -> dict[str, str]:
    """Device name by disk."""
    return {"system": appliance.aws.root_device, "data": appliance.aws.data_device}
