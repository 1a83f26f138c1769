"""`vvctl validate aws`: whether what stands in AWS is what publish was asked for, bit by bit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vvctl.appliance import Appliance
from vvctl.publish.aws import images
from vvctl.publish.aws.cloud import Cloud
from vvctl.publish.aws.plan import Labels, Plan, devices, image_attributes, tag_dict, volume_attributes
from vvctl.publish.aws.readback import differing_blocks
from vvctl.publish.aws.release import Release, Survey
from vvctl.publish.display import Display

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import ImageTypeDef

# Enough to see what happened; a wrong disk differs in thousands.
_NAMED_BLOCKS = 10


@dataclass(frozen=True)
class Difference:
    """One thing in one region that is not as asked for."""

    region: str
    what: str
    expected: Any
    found: Any

    def __str__(self) -> str:
        return f"{self.region}: {self.what} is {self.found}, not {self.expected}"


class Validator:
    """Compares the images of one plan with the release and the appliance."""

    def __init__(
        self, cloud: Cloud, appliance: Appliance, release: Release, plan: Plan, surveys: dict[str, Survey]
    ) -> None:
        self._cloud = cloud
        self._appliance = appliance
        self._release = release
        self._plan = plan
        self._surveys = surveys

    def differences(self, display: Display) -> list[Difference]:
        """All differences in all regions; none when everything is right. Raises AwsError."""
        found: list[Difference] = []
        for region in self._plan.regions:
            image = images.find(self._cloud, region, self._plan.name)
            if image is None:
                found.append(Difference(region, "image", self._plan.name, None))
                continue
            found += self._image(region, image)
            by_device = {entry["DeviceName"]: entry.get("Ebs", {}) for entry in image["BlockDeviceMappings"]}
            for disk, device in devices(self._appliance).items():
                if snapshot := by_device.get(device, {}).get("SnapshotId"):
                    found += self._snapshot(region, disk, snapshot)
                    found += self._bytes(region, disk, snapshot, display)
        return found

    def _image(self, region: str, image: ImageTypeDef) -> list[Difference]:
        name = image["ImageId"]
        expected = {"State": "available", "Public": False, **image_attributes(self._appliance, self._release)}
        # NitroTPM belongs to UEFI.
        expected |= {"TpmSupport": None, "RootDeviceType": "ebs"}
        found: dict[str, Any] = {key: image.get(key) for key in expected}
        expected |= {f"tag {key}": value for key, value in self._tags().items()}
        tags = tag_dict(image.get("Tags"))
        found |= {f"tag {key}": tags.get(key) for key in self._tags()}
        mapping = {entry["DeviceName"]: entry.get("Ebs", {}) for entry in image["BlockDeviceMappings"]}
        expected |= {"devices": sorted(devices(self._appliance).values())}
        found |= {"devices": sorted(mapping)}
        for disk, device in devices(self._appliance).items():
            volume = {"VolumeSize": self._surveys[disk].volume_gib, **volume_attributes(self._appliance, disk)}
            expected |= {f"{device} {key}": value for key, value in volume.items()}
            found |= {f"{device} {key}": mapping.get(device, {}).get(key) for key in volume}
        permissions = self._cloud.call(
            self._cloud.ec2(region).describe_image_attribute, ImageId=name, Attribute="launchPermission"
        )["LaunchPermissions"]
        expected |= {"who may launch it": sorted(self._plan.accounts)}
        found |= {"who may launch it": sorted(entry.get("UserId") or str(entry) for entry in permissions)}
        return self._compare(region, name, expected, found)

    def _snapshot(self, region: str, disk: str, snapshot: str) -> list[Difference]:
        ec2 = self._cloud.ec2(region)
        facts = self._cloud.call(ec2.describe_snapshots, SnapshotIds=[snapshot])["Snapshots"][0]
        tags = tag_dict(facts.get("Tags"))
        permissions = self._cloud.call(
            ec2.describe_snapshot_attribute, SnapshotId=snapshot, Attribute="createVolumePermission"
        )["CreateVolumePermissions"]
        expected: dict[str, Any] = {
            "State": "completed",
            "VolumeSize": self._surveys[disk].volume_gib,
            "who may use it": sorted(self._plan.accounts),
        }
        found: dict[str, Any] = {
            "State": facts["State"],
            "VolumeSize": facts["VolumeSize"],
            "who may use it": sorted(entry.get("UserId") or str(entry) for entry in permissions),
        }
        # An account may encrypt everything on its own account; that is no difference.
        if self._plan.encrypted:
            expected |= {"Encrypted": True}
            found |= {"Encrypted": facts["Encrypted"]}
        if key := self._plan.keys[region]:
            expected |= {"KmsKeyId": key}
            found |= {"KmsKeyId": facts.get("KmsKeyId")}
        expected |= {f"tag {key}": value for key, value in self._tags().items()}
        found |= {f"tag {key}": tags.get(key) for key in self._tags()}
        return self._compare(region, f"{snapshot} ({disk} disk)", expected, found)

    def _bytes(self, region: str, disk: str, snapshot: str, display: Display) -> list[Difference]:
        blocks = differing_blocks(self._cloud, region, snapshot, self._surveys[disk], display)
        if not blocks:
            return []
        named = ", ".join(map(str, blocks[:_NAMED_BLOCKS])) + (", …" if len(blocks) > _NAMED_BLOCKS else "")
        found = f"different in {len(blocks)} blocks: {named}"
        return [Difference(region, f"{snapshot} ({disk} disk) content", self._release.disks[disk].path.name, found)]

    def _tags(self) -> dict[str, str]:
        """What must stand on image and snapshots; which run it was is no matter."""
        labels = Labels(self._release.product)
        tags = labels.all(self._plan, self._release, publication="")
        del tags[labels.publication]
        return tags

    def _compare(self, region: str, what: str, expected: dict[str, Any], found: dict[str, Any]) -> list[Difference]:
        return [
            Difference(region, f"{what} {key}", value, found[key])
            for key, value in expected.items()
            if found[key] != value
        ]
