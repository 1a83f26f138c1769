"""The operations of EC2 on images and snapshots, with the checks that moto leaves out; the others are in compute.py."""

from __future__ import annotations

import re
from typing import Any

from .compute import Compute, page_of
from .refusal import Refusal
from .rules import accounts_of, key_for, list_of_tags, matches, once, specified_tags
from .state import ACCOUNT, AWS_MANAGED_KEY, Image, Region, Snapshot
from .wire import Call

_NAME = re.compile(r"[A-Za-z0-9()\[\] ./'@_-]{3,128}")
_DEVICE = re.compile(r"/dev/(sd|xvd)[a-z][1-9]?")
_VOLUME_TYPES = {"gp2", "gp3", "io1", "io2", "st1", "sc1", "standard"}
# Echoed by DescribeImages as they were registered.
_KEPT = ("Description", "RootDeviceName", "BootMode", "TpmSupport", "ImdsSupport")


class Ec2(Compute):
    """One method an operation, named as AWS names it."""

    def RegisterImage(self, call: Call, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        region = self._account.region(call.region)
        self._check_name(region, params["Name"])
        attributes = {key: params[key] for key in _KEPT if key in params} | {
            "Architecture": params.get("Architecture", "i386"),
            "VirtualizationType": params.get("VirtualizationType", "paravirtual"),
            "EnaSupport": params.get("EnaSupport", False),
        }
        if attributes["EnaSupport"] and attributes["VirtualizationType"] != "hvm":
            raise Refusal("InvalidParameterCombination", "ENA needs the virtualization type hvm")
        if attributes.get("ImdsSupport") not in {None, "v2.0"}:
            raise Refusal("InvalidParameterValue", "ImdsSupport must be v2.0")
        if attributes.get("BootMode") not in {None, "legacy-bios", "uefi", "uefi-preferred"}:
            raise Refusal("InvalidParameterValue", "BootMode is not valid")
        if "TpmSupport" in attributes and attributes.get("BootMode") != "uefi":
            raise Refusal("InvalidParameterCombination", "NitroTPM needs the boot mode uefi")
        devices = self._devices(region, params.get("BlockDeviceMappings", []))
        if params.get("RootDeviceName") not in devices:
            raise Refusal("InvalidBlockDeviceMapping", "The root device is not in the mapping")
        tags = specified_tags(params, "image").get("image", {})
        return {"ImageId": self._add_image(call.region, params["Name"], attributes, devices, tags).id}

    def CopyImage(self, call: Call, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        token = params.pop("ClientToken", None)
        region = self._account.region(call.region)
        copied = once(region, token, params, lambda: self._copy(region, params), "IdempotentParameterMismatch")
        return {"ImageId": copied.id}

    def DescribeImages(self, call: Call, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        region = self._account.region(call.region)
        for identifier in params.get("ImageIds", []):
            region.image(identifier)
        found = []
        for image in region.images.values():
            facts = {
                "name": {image.name},
                "image-id": {image.id},
                "state": {image.state},
                "block-device-mapping.snapshot-id": image.snapshot_ids,
            }
            wanted = image.id in params.get("ImageIds", [image.id])
            if wanted and matches(params.get("Filters", []), facts, image.tags):
                found.append(_described(image))
                image.pending -= 1
        return page_of(region.machines, params, "Images", found, "ImageIds")

    def DescribeImageAttribute(self, call: Call, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        image = self._account.region(call.region).image(params["ImageId"])
        if params["Attribute"] != "launchPermission":
            raise Refusal("InvalidParameterValue", "This double knows launchPermission only")
        return {"ImageId": image.id, "LaunchPermissions": [{"UserId": user} for user in sorted(image.shared_with)]}

    def ModifyImageAttribute(self, call: Call, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        region = self._account.region(call.region)
        image = region.image(params["ImageId"])
        if params.get("Attribute") != "launchPermission" or params.get("OperationType") != "add":
            raise Refusal("InvalidParameterValue", "This double adds launch permissions only")
        if image.state != "available":
            raise Refusal("IncorrectState", f"{image.id} is {image.state}")
        if any(region.snapshots[snapshot].key == AWS_MANAGED_KEY for snapshot in image.snapshot_ids):
            raise Refusal("InvalidParameter", "Snapshots encrypted with the AWS Managed CMK can't be shared")
        image.shared_with |= accounts_of(params)
        return {}

    def DeregisterImage(self, call: Call, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        region = self._account.region(call.region)
        del region.images[region.image(params["ImageId"]).id]
        return {"Return": True}

    def DescribeSnapshots(self, call: Call, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        region = self._account.region(call.region)
        wanted = [region.snapshot(identifier) for identifier in params.get("SnapshotIds", [])]
        found = []
        for snapshot in wanted or list(region.snapshots.values()):
            snapshot.look()
            entry = region.machines.seen(snapshot.id, lambda snapshot=snapshot: _described_snapshot(snapshot))  # type: ignore[misc]
            if entry and matches(params.get("Filters", []), {"status": {entry["State"]}}, snapshot.tags):
                found.append(entry)
        return page_of(region.machines, params, "Snapshots", found, "SnapshotIds")

    def DescribeSnapshotAttribute(self, call: Call, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        snapshot = self._account.region(call.region).snapshot(params["SnapshotId"])
        permissions = [{"UserId": user} for user in sorted(snapshot.shared_with)]
        return {"SnapshotId": snapshot.id, "CreateVolumePermissions": permissions}

    def ModifySnapshotAttribute(self, call: Call, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        snapshot = self._account.region(call.region).snapshot(params["SnapshotId"])
        if params.get("Attribute") != "createVolumePermission" or params.get("OperationType") != "add":
            raise Refusal("InvalidParameterValue", "This double adds permissions to create volumes only")
        if snapshot.key == AWS_MANAGED_KEY:
            raise Refusal("OperationNotPermitted", "Encrypted snapshots with EBS default key cannot be shared")
        snapshot.shared_with |= accounts_of(params)
        return {}

    def DeleteSnapshot(self, call: Call, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        region = self._account.region(call.region)
        snapshot = region.snapshot(params["SnapshotId"])
        for image in region.images.values():
            if snapshot.id in image.snapshot_ids:
                raise Refusal("InvalidSnapshot.InUse", f"The snapshot {snapshot.id} is currently in use by {image.id}")
        snapshot.file.unlink()
        del region.snapshots[snapshot.id]
        return {}

    def GetEbsEncryptionByDefault(self, call: Call, _: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"EbsEncryptionByDefault": self._account.region(call.region).encrypts_by_default}

    def GetEbsDefaultKmsKeyId(self, call: Call, _: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"KmsKeyId": self._account.region(call.region).default_key}

    def _check_name(self, region: Region, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise Refusal("InvalidAMIName.Malformed", f"AMI name {name} is not valid")
        for image in region.images.values():
            if image.name == name:
                raise Refusal("InvalidAMIName.Duplicate", f"AMI name {name} is already in use by AMI {image.id}")

    def _devices(self, region: Region, mappings: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
        devices: dict[str, dict[str, Any]] = {}
        for mapping in mappings:
            name, ebs = mapping["DeviceName"], dict(mapping.get("Ebs", {}))
            if not _DEVICE.fullmatch(name) or name in devices:
                raise Refusal("InvalidBlockDeviceMapping", f"Invalid device name {name}")
            if "Encrypted" in ebs:
                raise Refusal("InvalidBlockDeviceMapping", f"encrypted cannot be given beside a snapshot ({name})")
            snapshot = region.snapshot(ebs.get("SnapshotId", ""))
            if snapshot.state != "completed":
                raise Refusal("IncorrectState", f"The snapshot {snapshot.id} is {snapshot.state}, not completed")
            if ebs.setdefault("VolumeSize", snapshot.size_gib) < snapshot.size_gib:
                raise Refusal(
                    "InvalidBlockDeviceMapping",
                    f"Volume of size {ebs['VolumeSize']}GB is smaller than snapshot '{snapshot.id}'",
                )
            if ebs.setdefault("VolumeType", "gp2") not in _VOLUME_TYPES:
                raise Refusal("InvalidParameterValue", f"Invalid volume type {ebs['VolumeType']}")
            # What AWS takes when nobody says otherwise: it deletes the volume with the instance.
            ebs.setdefault("DeleteOnTermination", True)
            devices[name] = ebs | {"Encrypted": snapshot.key is not None}
        return devices

    def _add_image(
        self, region: str, name: str, attributes: dict[str, Any], devices: dict[str, Any], tags: dict[str, str]
    ) -> Image:
        image = Image(self._account.new_id("ami"), region, name, attributes, devices, tags)
        self._account.region(region).images[image.id] = image
        return image

    def _copy(self, region: Region, params: dict[str, Any]) -> Image:
        source = self._account.region(params["SourceRegion"]).image(params["SourceImageId"])
        if source.state != "available":
            raise Refusal("InvalidAMIID.Unavailable", f"{source.id} is {source.state}")
        self._check_name(region, params["Name"])
        tags = specified_tags(params, "image", "snapshot")
        devices = {}
        for device, ebs in source.devices.items():
            original = self._account.region(source.region).snapshots[ebs["SnapshotId"]]
            encrypted = params.get("Encrypted", False) or original.key is not None
            key = key_for(region, encrypted=encrypted, key=params.get("KmsKeyId"))
            copy = self._copy_snapshot(original, region.name, key, source.id, tags.get("snapshot", {}))
            devices[device] = ebs | {"SnapshotId": copy.id, "Encrypted": key is not None}
        # Neither the description nor tags nor permissions come along.
        own = f"[Copied {source.id} from {source.region}] {params['Name']}"
        attributes = source.attributes | {"Description": params.get("Description", own)}
        return self._add_image(region.name, params["Name"], attributes, devices, tags.get("image", {}))

    def _copy_snapshot(
        self, original: Snapshot, region: str, key: str | None, image: str, tags: dict[str, str]
    ) -> Snapshot:
        description = f"Copied for DestinationAmi from SourceAmi {image} for SourceSnapshot {original.id}."
        copy = self._account.new_snapshot(region, original.size_gib, description=description, tags=tags, key=key)
        for index in original.digests:
            copy.write(index, original.read(index))
        copy.state = "completed"
        return copy


def _described_snapshot(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "SnapshotId": snapshot.id,
        "VolumeId": snapshot.volume,
        "OwnerId": ACCOUNT,
        "State": snapshot.state,
        "VolumeSize": snapshot.size_gib,
        "Description": snapshot.description,
        "StartTime": snapshot.started,
        "Encrypted": snapshot.key is not None,
        "Tags": list_of_tags(snapshot.tags),
        **({"KmsKeyId": snapshot.key} if snapshot.key else {}),
    }


def _described(image: Image) -> dict[str, Any]:
    return {
        "ImageId": image.id,
        "Name": image.name,
        "OwnerId": ACCOUNT,
        "State": image.state,
        "Public": False,
        "ImageType": "machine",
        "RootDeviceType": "ebs",
        "Hypervisor": "xen",
        "CreationDate": image.made.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        **image.attributes,
        "BlockDeviceMappings": [{"DeviceName": name, "Ebs": ebs} for name, ebs in image.devices.items()],
        "Tags": list_of_tags(image.tags),
    }
