"""Which machine, which disks and which image are meant."""

from __future__ import annotations

import re
import socket
from typing import Any

from vvctl.appliance import Appliance, find_root, load
from vvctl.errors import VvctlError
from vvctl.publish.aws.cloud import Cloud
from vvctl.publish.aws.plan import Labels, tag_dict
from vvctl.upgrade.aws.facts import Facts
from vvctl.upgrade.aws.view import everything
from vvctl.upgrade.release import Release

_INSTANCE = re.compile(r"i-[0-9a-f]{8,17}")
_THERE = ["pending", "running", "stopping", "stopped"]


class NotFound(VvctlError):
    """The machine, its disk or the image is not there, or there are several."""

    code = "not_found"


def discover(machine: str, image: str | None = None, region: str | None = None) -> dict[str, Any]:
    """The facts about the instance `machine` (id or Name tag) and the AMI `image`, default: the account's newest.

    Raises AwsError and NotFound.
    """
    appliance = load(find_root() / "appliance.yml")
    cloud = Cloud(region)
    found = _instance(cloud, machine)
    disks = {entry["DeviceName"]: entry["Ebs"] for entry in found.get("BlockDeviceMappings", [])}
    root, data = found.get("RootDeviceName", ""), appliance.aws.data_device
    for device, what in ((root, "root"), (data, "data")):
        if device not in disks:
            raise NotFound(
                f"{machine} has no {what} volume: nothing is attached as {device or 'a root device'}, "
                f"but there are {', '.join(sorted(disks)) or 'no volumes at all'}",
                hint=f"attach the {what} volume as {device}",
            )
    made, release = _image(cloud, appliance, image)
    facts = Facts(
        region=cloud.region,
        zone=found["Placement"]["AvailabilityZone"],
        instance=found["InstanceId"],
        name=tag_dict(found.get("Tags")).get("Name", ""),
        root_device=root,
        data_device=data,
        root_volume=disks[root]["VolumeId"],
        root_ends_with_machine=disks[root]["DeleteOnTermination"],
        data_volume=disks[data]["VolumeId"],
        data_ends_with_machine=disks[data]["DeleteOnTermination"],
        image=made["ImageId"],
        image_name=made.get("Name", ""),
        snapshot=_root_snapshot(made),
        version=release.version,
        format_epoch=release.format_epoch,
        by=f"{cloud.principal} on {socket.gethostname()}",
    )
    return facts.as_json()


def _instance(cloud: Cloud, machine: str) -> dict[str, Any]:
    by_id = _INSTANCE.fullmatch(machine) is not None
    filters = [
        {"Name": "instance-id" if by_id else "tag:Name", "Values": [machine]},
        {"Name": "instance-state-name", "Values": _THERE},
    ]
    found = [
        instance
        for reservation in everything(cloud, cloud.region, "describe_instances", "Reservations", Filters=filters)
        for instance in reservation["Instances"]
    ]
    if not found:
        raise NotFound(
            f"there is no machine {machine} in {cloud.region}",
            hint="give the id of the instance, or its Name tag, and --region",
        )
    if len(found) > 1:
        ids = ", ".join(sorted(instance["InstanceId"] for instance in found))
        raise NotFound(f"{len(found)} machines are called {machine}: {ids}", hint="give the id of the instance")
    machine_found: dict[str, Any] = found[0]
    return machine_found


def _image(cloud: Cloud, appliance: Appliance, image: str | None) -> tuple[dict[str, Any], Release]:
    labels = Labels(appliance.product.name)
    wanted = [{"Name": "image-id", "Values": [image]}] if image else [{"Name": "tag-key", "Values": [labels.version]}]
    owners = {} if image else {"Owners": ["self"]}
    listed = everything(cloud, cloud.region, "describe_images", "Images", Filters=wanted, **owners)
    found = [entry for entry in listed if entry["State"] == "available"]
    if not found:
        raise NotFound(
            f"there is no image {image} in {cloud.region}" if image else f"{cloud.region} has no image of this account",
            hint="`vvctl publish aws` makes one; --image names one that another account shares",
        )
    releases = [(_release(entry, labels), entry["CreationDate"], entry) for entry in found]
    release, _, newest = max(releases, key=lambda item: (item[0].numbers, item[1]))
    return newest, release


def _release(image: dict[str, Any], labels: Labels) -> Release:
    """What `vvctl publish aws` tagged the image with; raises NotFound."""
    tags = tag_dict(image.get("Tags"))
    version, epoch = tags.get(labels.version), tags.get(labels.format_epoch, "")
    if version is None or not epoch.isdigit():
        raise NotFound(
            f"{image['ImageId']} does not say which version and data format it holds: "
            f"the tags {labels.version} and {labels.format_epoch} are missing",
            hint="tags of a shared image are not shared: set both in this account, as its owner has them",
        )
    return Release(version, int(epoch))


def _root_snapshot(image: dict[str, Any]) -> str:
    for mapping in image["BlockDeviceMappings"]:
        if mapping["DeviceName"] == image.get("RootDeviceName") and "SnapshotId" in mapping.get("Ebs", {}):
            snapshot: str = mapping["Ebs"]["SnapshotId"]
            return snapshot
    raise NotFound(f"{image['ImageId']} has no root snapshot", hint="give an image that `vvctl publish aws` made")
