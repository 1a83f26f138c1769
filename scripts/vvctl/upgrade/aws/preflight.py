"""What stands in the way of an upgrade on EC2, found without changing anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from botocore.exceptions import ClientError

from vvctl.publish.aws.cloud import Cloud
from vvctl.publish.aws.errors import AwsError, MissingPermission, NoCredentials
from vvctl.publish.aws.plan import tag_dict, tag_list
from vvctl.upgrade.aws.facts import Facts
from vvctl.upgrade.aws.marks import MACHINE, PART, UPGRADE, Part, lock_name, specification
from vvctl.upgrade.aws.quota import quota_findings
from vvctl.upgrade.aws.view import View, Volume, everything
from vvctl.upgrade.plan import Finding

# Of the right form; nothing has it.
_NO_TEMPLATE, _NO_SNAPSHOT = "lt-00000000000000000", "snap-00000000000000000"


def findings(cloud: Cloud, facts: Facts, upgrade: str, view: View) -> list[Finding]:
    """Everything at once. Raises AwsError."""
    image = everything(
        cloud, facts.region, "describe_images", "Images", Filters=[{"Name": "image-id", "Values": [facts.image]}]
    )
    found = [*_missing_rights(cloud, facts), *_machine(cloud, facts, view), *_disks(facts, view)]
    if image:
        found += _image(image[0], facts, view)
    else:
        found.append(Finding(f"the image {facts.image} is gone", "give another one with --image"))
    found += _keys(cloud, facts, view)
    found += _leftovers(cloud, facts, upgrade)
    return found + quota_findings(cloud, facts, view)


def check_unlock(cloud: Cloud, facts: Facts) -> None:
    """Raises MissingPermission when the lock, once made, could not be deleted."""
    cloud.require_right(cloud.ec2(facts.region).delete_launch_template, LaunchTemplateId=_NO_TEMPLATE)


def _missing_rights(cloud: Cloud, facts: Facts) -> Iterator[Finding]:
    for call, request in _calls(cloud, facts):
        try:
            cloud.require_right(call, **request)
        except MissingPermission as error:
            yield Finding(error.message, error.hint)


def _calls(cloud: Cloud, facts: Facts) -> list[tuple[Callable[..., Any], dict[str, Any]]]:
    ec2, machine, root = cloud.ec2(facts.region), facts.instance, facts.root_volume
    tags = {UPGRADE: "dry run"}
    mapping = {"DeviceName": facts.root_device, "Ebs": {"DeleteOnTermination": facts.root_ends_with_machine}}

    return [
        (
            ec2.create_launch_template,
            {
                "LaunchTemplateName": lock_name(machine),
                "LaunchTemplateData": {"ImageId": facts.image},
                "TagSpecifications": specification("launch-template", tags),
            },
        ),
        (ec2.delete_launch_template, {"LaunchTemplateId": _NO_TEMPLATE}),
        (
            ec2.create_volume,
            {
                "AvailabilityZone": facts.zone,
                "SnapshotId": facts.snapshot,
                "TagSpecifications": specification("volume", tags),
            },
        ),
        (ec2.create_snapshot, {"VolumeId": facts.data_volume, "TagSpecifications": specification("snapshot", tags)}),
        (ec2.create_tags, {"Resources": [machine, facts.data_volume], "Tags": tag_list(tags)}),
        (ec2.stop_instances, {"InstanceIds": [machine]}),
        (ec2.start_instances, {"InstanceIds": [machine]}),
        (ec2.detach_volume, {"VolumeId": root, "InstanceId": machine}),
        (ec2.attach_volume, {"VolumeId": root, "InstanceId": machine, "Device": facts.root_device}),
        (ec2.modify_instance_attribute, {"InstanceId": machine, "BlockDeviceMappings": [mapping]}),
        (ec2.delete_volume, {"VolumeId": root}),
        (ec2.delete_snapshot, {"SnapshotId": _NO_SNAPSHOT}),
    ]


def _machine(cloud: Cloud, facts: Facts, view: View) -> Iterator[Finding]:
    found, name = view.instance, facts.machine
    if lifecycle := found.get("InstanceLifecycle"):
        yield Finding(f"{name} is a {lifecycle} instance", "EC2 may not start it again: launch an on-demand instance")
    if group := view.tags.get("aws:autoscaling:groupName"):
        yield Finding(
            f"{name} belongs to the Auto Scaling group {group}, which replaces a machine that is stopped",
            "detach it: aws autoscaling detach-instances --should-decrement-desired-capacity",
        )
    if found.get("RootDeviceType") != "ebs":
        yield Finding(f"{name} has no EBS root volume and cannot be stopped", "launch an instance of an EBS image")
    if found.get("OutpostArn"):
        yield Finding(f"{name} is on an Outpost, where this was never tried", "launch it in a zone of the region")
    for interface in found.get("NetworkInterfaces", []):
        association = interface.get("Association", {})
        if association.get("IpOwnerId") == "amazon":
            yield Finding(
                f"the public address {association.get('PublicIp')} of {name} is lost when it is stopped",
                "give it an elastic IP first",
            )
    ec2 = cloud.ec2(facts.region)
    stop = cloud.call(ec2.describe_instance_attribute, InstanceId=facts.instance, Attribute="disableApiStop")
    if stop.get("DisableApiStop", {}).get("Value"):
        yield Finding(
            f"{name} is protected from being stopped",
            f"aws ec2 modify-instance-attribute --instance-id {facts.instance} --no-disable-api-stop",
        )
    shutdown = cloud.call(
        ec2.describe_instance_attribute, InstanceId=facts.instance, Attribute="instanceInitiatedShutdownBehavior"
    )
    if shutdown.get("InstanceInitiatedShutdownBehavior", {}).get("Value") == "terminate":
        yield Finding(
            f"{name} is terminated when its system shuts down",
            "set its shutdown behaviour to stop: aws ec2 modify-instance-attribute "
            f"--instance-id {facts.instance} --instance-initiated-shutdown-behavior stop",
        )


def _disks(facts: Facts, view: View) -> Iterator[Finding]:
    named = (("root", view.old, facts.root_device), ("data", view.data, facts.data_device))
    for what, volume, device in named:
        if volume is None or not volume.attached(facts.instance, device):
            yield Finding(f"the {what} volume is not attached as {device}", "attach it, and wait until it is in use")
            continue
        if volume.found["AvailabilityZone"] != facts.zone:
            yield Finding(
                f"the {what} volume {volume.id} is in {volume.found['AvailabilityZone']}, "
                f"{facts.machine} in {facts.zone}",
                "a volume can only be attached in its own zone: make one of a snapshot in that zone",
            )
        if volume.found.get("MultiAttachEnabled"):
            yield Finding(
                f"the {what} volume {volume.id} can be attached to several machines", "switch Multi-Attach off"
            )
        if codes := volume.found.get("ProductCodes"):
            yield Finding(f"{volume.id} has product codes: {_codes(codes)}", "copy it to a volume without them")


def _image(image: dict[str, Any], facts: Facts, view: View) -> Iterator[Finding]:
    found, name = view.instance, facts.image
    hint = "give an image for this machine with --image"
    if image["State"] != "available":
        yield Finding(f"{name} is {image['State']}", hint)
    if image.get("Architecture") != found.get("Architecture"):
        yield Finding(f"{name} is for {image.get('Architecture')}, the machine is {found.get('Architecture')}", hint)
    # An instance keeps the mode that it was launched with (docs.aws.amazon.com/AWSEC2/latest/UserGuide/ami-boot.html).
    wanted, has = image.get("BootMode") or "legacy-bios", found.get("CurrentInstanceBootMode") or "legacy-bios"
    if wanted not in {has, "uefi-preferred"}:
        yield Finding(f"{name} starts with {wanted}, the machine with {has}, and that cannot be changed", hint)
    if not image.get("EnaSupport") or not found.get("EnaSupport"):
        who = name if not image.get("EnaSupport") else "the machine"
        yield Finding(f"{who} has no enhanced networking (ENA)", "aws ec2 modify-instance-attribute --ena-support")
    if image.get("TpmSupport") and not found.get("TpmSupport"):
        yield Finding(f"{name} needs a NitroTPM, which the machine was launched without", hint)
    if codes := image.get("ProductCodes"):
        yield Finding(f"{name} has product codes: {_codes(codes)}", "its volumes cannot be made part of a machine")
    devices = {entry["DeviceName"]: entry.get("Ebs", {}) for entry in image["BlockDeviceMappings"]}
    size = devices.get(image.get("RootDeviceName", ""), {}).get("VolumeSize", 0)
    if view.old is not None and size > view.old.found["Size"]:
        yield Finding(
            f"the system needs {size} GiB, the root volume {view.old.id} has {view.old.found['Size']}",
            f"enlarge it: aws ec2 modify-volume --volume-id {view.old.id} --size {size}",
        )


def _keys(cloud: Cloud, facts: Facts, view: View) -> Iterator[Finding]:
    """Volumes are encrypted as before, so their keys must be usable."""
    volumes: list[Volume | None] = [view.old, view.data]
    keys = {volume.found["KmsKeyId"] for volume in volumes if volume is not None and volume.found["Encrypted"]}
    for key in sorted(keys):
        try:
            found = cloud.call(cloud.kms(facts.region).describe_key, KeyId=key)["KeyMetadata"]
        except AwsError as error:
            if isinstance(error, NoCredentials) or not isinstance(error.__cause__, ClientError):
                raise
            yield Finding(f"the key {key} cannot be looked at: {error.message}", error.hint or "who may use it?")
            continue
        if found["KeyState"] != "Enabled":
            yield Finding(f"the key {found['Arn']} is {found['KeyState']}", "enable it: nothing starts without")


def _leftovers(cloud: Cloud, facts: Facts, upgrade: str) -> Iterator[Finding]:
    """What another upgrade of the machine made and still needs; a data volume that was kept is no such thing."""
    filters = [{"Name": f"tag:{MACHINE}", "Values": [facts.instance]}]
    volumes = everything(cloud, facts.region, "describe_volumes", "Volumes", Filters=filters)
    snapshots = everything(cloud, facts.region, "describe_snapshots", "Snapshots", Filters=filters)
    left = [(entry["VolumeId"], entry) for entry in volumes if not entry["Attachments"]]
    left += [(entry["SnapshotId"], entry) for entry in snapshots]
    by_upgrade: dict[str, list[str]] = {}
    for identifier, entry in left:
        tags = tag_dict(entry.get("Tags"))
        if tags.get(UPGRADE) != upgrade and tags.get(PART) != Part.WRITTEN:
            by_upgrade.setdefault(tags.get(UPGRADE, ""), []).append(identifier)
    for other, ids in by_upgrade.items():
        yield Finding(
            f"the upgrade {other} left {', '.join(ids)}",
            "`vvctl upgrade finalize` or `rollback` it first, or delete them if its journal is lost",
        )


def _codes(codes: Any) -> str:
    return ", ".join(str(code.get("ProductCodeId")) for code in codes)
