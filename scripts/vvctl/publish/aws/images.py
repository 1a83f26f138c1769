"""Images (AMIs): register one, copy it to other regions, let other accounts launch it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from vvctl.appliance import Appliance
from vvctl.publish.aws.cloud import Cloud
from vvctl.publish.aws.errors import AwsError
from vvctl.publish.aws.plan import Plan, devices, tag_dict, tag_list, volume_attributes
from vvctl.publish.aws.release import Survey

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import ImageTypeDef


class NameTaken(AwsError):
    """An image that this publication did not make has the name."""

    code = "aws_name_taken"


def find(cloud: Cloud, region: str, name: str) -> ImageTypeDef | None:
    """The account's own image called `name`, whatever its state."""
    answer = cloud.call(
        cloud.ec2(region).describe_images, Owners=["self"], Filters=[{"Name": "name", "Values": [name]}]
    )
    return answer["Images"][0] if answer["Images"] else None


def snapshots_of(image: ImageTypeDef, appliance: Appliance) -> dict[str, str]:
    """Snapshot by disk."""
    by_device = {entry["DeviceName"]: entry["Ebs"]["SnapshotId"] for entry in image["BlockDeviceMappings"]}
    return {disk: by_device[device] for disk, device in devices(appliance).items()}


class ImageMaker:
    """Makes the images of one publication; every step looks first whether it is done."""

    def __init__(
        self, cloud: Cloud, plan: Plan, attributes: dict[str, Any], publication_tag: str, tags: dict[str, str]
    ) -> None:
        """`attributes`: see plan.image_attributes."""
        self._cloud = cloud
        self._attributes = attributes
        self._plan = plan
        self._publication_tag = publication_tag
        self._tags = tags

    def find_own(self, region: str) -> ImageTypeDef | None:
        """The image of this publication in `region`; raises NameTaken when it is not of this publication."""
        image = find(self._cloud, region, self._plan.name)
        if image and tag_dict(image.get("Tags")).get(self._publication_tag) != self._tags[self._publication_tag]:
            raise NameTaken(
                f"{image['ImageId']} in {region} is called {self._plan.name} already",
                hint="give another --name, or remove it first: vvctl unpublish aws",
            )
        return image

    def register(self, appliance: Appliance, disks: dict[str, tuple[Survey, str]]) -> None:
        """Make the image of the snapshots in `disks` (survey and snapshot by disk)."""
        request: dict[str, Any] = self._attributes | {
            "Name": self._plan.name,
            "BlockDeviceMappings": [
                {
                    "DeviceName": devices(appliance)[disk],
                    "Ebs": {
                        "SnapshotId": snapshot,
                        "VolumeSize": survey.volume_gib,
                        **volume_attributes(appliance, disk),
                    },
                }
                for disk, (survey, snapshot) in disks.items()
            ],
            "TagSpecifications": self._specifications("image"),
        }
        try:
            self._cloud.call(self._cloud.ec2(self._plan.region).register_image, **request)
        except AwsError as error:
            # An earlier attempt was done and its answer lost: RegisterImage has no client token.
            if error.aws_code != "InvalidAMIName.Duplicate" or self.find_own(self._plan.region) is None:
                raise

    def copy(self, source: str, region: str, token: str) -> None:
        """Begin to copy the image `source` to `region`; AWS takes minutes for it."""
        request: dict[str, Any] = {
            "Name": self._plan.name,
            # The one attribute that does not come along.
            "Description": self._attributes["Description"],
            "SourceImageId": source,
            "SourceRegion": self._plan.region,
            "ClientToken": token,
            "TagSpecifications": self._specifications("image", "snapshot"),
        }
        if self._plan.encrypted:
            request["Encrypted"] = True
        if key := self._plan.copies[region]:
            request["KmsKeyId"] = key
        self._cloud.call(self._cloud.ec2(region).copy_image, **request)

    def available(self, region: str) -> ImageTypeDef:
        """The image of this publication in `region` once AWS has finished it; raises AwsError when that failed."""

        def look() -> ImageTypeDef | None:
            image = self.find_own(region)
            if image is None or image["State"] == "pending":
                return None
            if image["State"] != "available":
                why = image.get("StateReason", {}).get("Message", "AWS does not say why")
                raise AwsError(
                    f"{image['ImageId']} in {region} is {image['State']}: {why}",
                    hint="remove it and publish again: vvctl unpublish aws",
                )
            return image

        return self._cloud.until(look, f"{self._plan.name} in {region}")

    def share(self, region: str, image: str, snapshots: Iterable[str]) -> None:
        """Let the plan's accounts launch the image, and copy its snapshots under keys of their own."""
        accounts, ec2 = list(self._plan.accounts), self._cloud.ec2(region)
        for snapshot in snapshots:
            self._cloud.call(
                ec2.modify_snapshot_attribute,
                SnapshotId=snapshot,
                Attribute="createVolumePermission",
                OperationType="add",
                UserIds=accounts,
            )
        self._cloud.call(
            ec2.modify_image_attribute,
            ImageId=image,
            Attribute="launchPermission",
            OperationType="add",
            UserIds=accounts,
        )

    def _specifications(self, *kinds: str) -> list[dict[str, Any]]:
        return [{"ResourceType": kind, "Tags": tag_list(self._tags)} for kind in kinds]
