"""The operations of EC2 on instances, volumes and launch templates, as strict as EC2.

The codes are those of docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html.
"""

from __future__ import annotations

import re
from typing import Any

from .machines import (
    Attachment,
    Instance,
    LaunchTemplate,
    Machines,
    Volume,
    described_instance,
    described_template,
    described_volume,
)
from .refusal import Refusal
from .rules import key_for, list_of_tags, once, specified_tags, tags_of
from .state import ACCOUNT, Account, Region
from .wire import Call

_TEMPLATE_NAME = re.compile(r"[a-zA-Z0-9().\-/_]{3,128}")
_DEVICE = re.compile(r"/dev/(sda1|xvda|sd[b-z]|xvd[b-z])")
_MISMATCH = "IdempotentParameterMismatch"


class Compute:
    """One method an operation, named as AWS names it."""

    def __init__(self, account: Account) -> None:
        self._account = account

    # Instances

    def DescribeInstances(self, call: Call, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        machines = self._machines(call)
        machines.tick()
        wanted = [machines.instance(identifier) for identifier in params.get("InstanceIds", [])]
        found = []
        for instance in wanted or list(machines.instances.values()):
            entry = machines.seen(instance.id, lambda instance=instance: self._instance(machines, instance))  # type: ignore[misc]
            facts = {"instance-state-name": [entry["State"]["Name"]], "instance-id": [instance.id]} if entry else {}
            if entry and _passes(params, entry, facts):
                found.append({"Instances": [entry]})
        return page_of(machines, params, "Reservations", found, "InstanceIds")

    def DescribeInstanceAttribute(self, call: Call, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        instance = self._machines(call).instance(params["InstanceId"])
        known = {
            "disableApiStop": {"DisableApiStop": {"Value": instance.disable_api_stop}},
            "instanceInitiatedShutdownBehavior": {
                "InstanceInitiatedShutdownBehavior": {"Value": instance.shutdown_behaviour}
            },
        }
        if params["Attribute"] not in known:
            raise Refusal("InvalidParameterValue", f"This double knows {', '.join(known)} only")
        return {"InstanceId": instance.id, **known[params["Attribute"]]}

    def ModifyInstanceAttribute(self, call: Call, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        machines = self._machines(call)
        instance = machines.instance(params["InstanceId"])
        volumes = machines.volumes_of(instance.id)
        for mapping in params.get("BlockDeviceMappings", []):
            volume, ebs = volumes.get(mapping["DeviceName"]), mapping["Ebs"]
            if volume is None or volume.attachment is None or ebs.get("VolumeId", volume.id) != volume.id:
                raise Refusal("InvalidInstanceAttributeValue", f"No device is currently mapped at {mapping}")
            self._changing(machines, volume)
            volume.attachment.delete_on_termination = ebs["DeleteOnTermination"]
        return {}

    def StopInstances(self, call: Call, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        machines = self._machines(call)
        answers = []
        for instance in [machines.instance(identifier) for identifier in params["InstanceIds"]]:
            if instance.disable_api_stop:
                raise Refusal("OperationNotPermitted", f"The instance '{instance.id}' may not be stopped.")
            if instance.state not in {"running", "stopping", "stopped"}:
                raise Refusal("IncorrectInstanceState", f"The instance '{instance.id}' cannot be stopped now.")
            before = instance.state
            machines.changing(instance.id, self._instance(machines, instance))
            instance.switch_off(machines.looks, force=params.get("Force", False))
            answers.append(_change(instance, before))
        return {"StoppingInstances": answers}

    def StartInstances(self, call: Call, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        region = self._account.region(call.region)
        machines, answers = region.machines, []
        for instance in [machines.instance(identifier) for identifier in params["InstanceIds"]]:
            instance.tick()
            if instance.state not in {"stopped", "running", "pending"}:
                raise Refusal(
                    "IncorrectInstanceState",
                    f"The instance '{instance.id}' is not in a state from which it can be started.",
                )
            before, volumes = instance.state, machines.volumes_of(instance.id)
            if instance.root_device not in volumes:
                raise Refusal(
                    "InvalidParameterValue",
                    f"Invalid value '{instance.id}' for instanceId. Instance does not have a volume attached at root "
                    f"({instance.root_device})",
                )
            if before == "stopped":
                machines.changing(instance.id, self._instance(machines, instance))
                unreadable = any(volume.key in region.unusable_keys for volume in volumes.values() if volume.key)
                instance.switch_on(volumes, machines.looks, fails=unreadable)
            answers.append(_change(instance, before))
        return {"StartingInstances": answers}

    # Volumes

    def DescribeVolumes(self, call: Call, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        machines = self._machines(call)
        wanted = [machines.volume(identifier) for identifier in params.get("VolumeIds", [])]
        found = []
        for volume in wanted or list(machines.volumes.values()):
            volume.tick()
            entry = machines.seen(volume.id, lambda volume=volume: described_volume(volume))  # type: ignore[misc]
            if entry is None and volume in wanted:
                raise Refusal("InvalidVolume.NotFound", f"The volume '{volume.id}' does not exist.")
            facts = {"volume-id": [volume.id], "volume-type": [volume.type]}
            if entry and _passes(params, entry, facts):
                found.append(entry)
        return page_of(machines, params, "Volumes", found, "VolumeIds")

    def CreateVolume(self, call: Call, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        token = params.pop("ClientToken", None)
        region = self._account.region(call.region)
        volume = once(region, token, params, lambda: self._create(region, params), _MISMATCH)
        return {key: value for key, value in described_volume(volume).items() if key != "Attachments"}

    def DeleteVolume(self, call: Call, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        machines = self._machines(call)
        volume = machines.volume(params["VolumeId"])
        if volume.attachment is not None:
            raise Refusal("VolumeInUse", f"Volume {volume.id} is currently attached to {volume.attachment.instance}")
        if volume.state not in {"available", "error"}:
            raise Refusal("IncorrectState", f"The volume '{volume.id}' is '{volume.state}'")
        del machines.volumes[volume.id]
        return {}

    def AttachVolume(self, call: Call, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        machines = self._machines(call)
        volume, instance = machines.volume(params["VolumeId"]), machines.instance(params["InstanceId"])
        device = params["Device"]
        if volume.attachment is not None:
            raise Refusal("VolumeInUse", f"{volume.id} is already attached to an instance")
        if volume.state != "available":
            raise Refusal("IncorrectState", f"Volume '{volume.id}' is in the '{volume.state}' state.")
        if volume.zone != instance.zone:
            raise Refusal(
                "InvalidVolume.ZoneMismatch",
                f"The volume '{volume.id}' is not in the same availability zone as instance '{instance.id}'",
            )
        if instance.state not in {"running", "stopped"}:
            raise Refusal("IncorrectState", f"Instance '{instance.id}' is not 'running'.")
        if not _DEVICE.fullmatch(device):
            raise Refusal("InvalidParameterValue", f"Value ({device}) for parameter device is invalid.")
        if device in machines.volumes_of(instance.id):
            raise Refusal(
                "InvalidParameterValue",
                f"Invalid value '{device}' for unixDevice. Attachment point {device} is already in use",
            )
        self._changing(machines, volume)
        volume.state = "in-use"
        # What AttachVolume always makes of it, also for a root device.
        volume.attachment = Attachment(instance.id, device, False, "attaching", machines.looks)
        return _attachment(volume)

    def DetachVolume(self, call: Call, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        machines = self._machines(call)
        volume = machines.volume(params["VolumeId"])
        attachment = volume.attachment
        if attachment is None or attachment.state == "detaching":
            raise Refusal("IncorrectState", f"Volume '{volume.id}' is in the '{volume.state}' state.")
        if params.get("InstanceId", attachment.instance) != attachment.instance:
            raise Refusal("InvalidAttachment.NotFound", f"{volume.id} is not attached to {params['InstanceId']}")
        if params.get("Device", attachment.device) != attachment.device:
            raise Refusal("InvalidAttachment.NotFound", f"{volume.id} is not attached as {params['Device']}")
        instance = machines.instance(attachment.instance)
        if attachment.device == instance.root_device and instance.state != "stopped":
            raise Refusal(
                "OperationNotPermitted", f"Unable to detach root volume '{volume.id}' from instance '{instance.id}'"
            )
        self._changing(machines, volume)
        attachment.state, attachment.looks = "detaching", machines.looks
        if instance.on:
            # The file system is pulled from under whoever uses it.
            volume.content = None
        return _attachment(volume)

    def CreateSnapshot(self, call: Call, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        region = self._account.region(call.region)
        volume = region.machines.volume(params["VolumeId"])
        tags = specified_tags(params, "snapshot").get("snapshot", {})
        snapshot = self._account.new_snapshot(
            call.region, volume.size_gib, description=params.get("Description", ""), tags=tags, key=volume.key
        )
        # Its point in time is that of the call, however long it takes to complete.
        snapshot.volume, snapshot.content = volume.id, volume.content.copy()
        snapshot.completing = region.machines.looks
        region.machines.changing(snapshot.id, None)
        return {
            "SnapshotId": snapshot.id,
            "VolumeId": volume.id,
            "State": "pending",
            "StartTime": snapshot.started,
            "Progress": "",
            "OwnerId": ACCOUNT,
            "VolumeSize": volume.size_gib,
            "Tags": list_of_tags(tags),
        }

    def CreateTags(self, call: Call, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        region = self._account.region(call.region)
        tags = tags_of(params["Tags"])
        machines = region.machines
        for identifier in params["Resources"]:
            holder: Any = (
                machines.instances.get(identifier)
                or machines.volumes.get(identifier)
                or region.snapshots.get(identifier)
                or region.images.get(identifier)
            )
            if holder is None:
                raise Refusal("InvalidID", f"The ID '{identifier}' is not valid")
            if isinstance(holder, Instance):
                machines.changing(holder.id, self._instance(machines, holder))
            elif isinstance(holder, Volume):
                self._changing(machines, holder)
            holder.tags.update(tags)
        return {}

    # Launch templates

    def CreateLaunchTemplate(self, call: Call, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        token = params.pop("ClientToken", None)
        region = self._account.region(call.region)
        template = once(region, token, params, lambda: self._create_template(region, params), _MISMATCH)
        return {"LaunchTemplate": described_template(template)}

    def DescribeLaunchTemplates(self, call: Call, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        machines = self._machines(call)
        found = []
        for template in machines.templates.values():
            entry = machines.seen(template.id, lambda template=template: described_template(template))  # type: ignore[misc]
            if entry and _passes(params, entry, {"launch-template-name": [template.name]}):
                found.append(entry)
        return page_of(machines, params, "LaunchTemplates", found, "LaunchTemplateIds")

    def DeleteLaunchTemplate(self, call: Call, params: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        machines = self._machines(call)
        template = machines.templates.pop(params["LaunchTemplateId"], None)
        if template is None:
            raise Refusal(
                "InvalidLaunchTemplateId.NotFound", f"The launch template {params['LaunchTemplateId']} does not exist."
            )
        return {"LaunchTemplate": described_template(template)}

    def _machines(self, call: Call) -> Machines:
        return self._account.region(call.region).machines

    def _instance(self, machines: Machines, instance: Instance) -> dict[str, Any]:
        return described_instance(instance, machines.volumes_of(instance.id))

    def _changing(self, machines: Machines, volume: Volume) -> None:
        machines.changing(volume.id, described_volume(volume))

    def _create(self, region: Region, params: dict[str, Any]) -> Volume:
        machines = region.machines
        snapshot = region.snapshot(params.get("SnapshotId", ""))
        if snapshot.state != "completed":
            raise Refusal("IncorrectState", f"Snapshot is in invalid state - {snapshot.state}")
        size = params.get("Size", snapshot.size_gib)
        if size < snapshot.size_gib:
            raise Refusal("InvalidParameterValue", f"Volume of {size}GiB is smaller than snapshot '{snapshot.id}'")
        if "Iops" in params and params.get("VolumeType") not in {"gp3", "io1", "io2"}:
            raise Refusal("InvalidParameterCombination", "The parameter iops is not supported for this volume type")
        if "Throughput" in params and params.get("VolumeType") != "gp3":
            raise Refusal("InvalidParameterCombination", "Throughput is for gp3 volumes only")
        if not params["AvailabilityZone"].startswith(region.name):
            raise Refusal("InvalidZone.NotFound", f"The zone '{params['AvailabilityZone']}' does not exist.")
        encrypted = params.get("Encrypted", False) or snapshot.key is not None
        key = params.get("KmsKeyId") or snapshot.key
        volume = Volume(
            self._account.new_id("vol"),
            params["AvailabilityZone"],
            size,
            params.get("VolumeType", "gp2"),
            key_for(region, encrypted=encrypted, key=key if encrypted else None),
            snapshot.id,
            params.get("Iops", 3000),
            params.get("Throughput", 125),
            specified_tags(params, "volume").get("volume", {}),
            snapshot.content.copy(),
            "creating",
            machines.looks,
        )
        machines.changing(volume.id, None)
        machines.volumes[volume.id] = volume
        return volume

    def _create_template(self, region: Region, params: dict[str, Any]) -> LaunchTemplate:
        machines, name = region.machines, params["LaunchTemplateName"]
        if not _TEMPLATE_NAME.fullmatch(name):
            raise Refusal("InvalidLaunchTemplateName.MalformedException", f"{name} is no valid name")
        if any(template.name == name for template in machines.templates.values()):
            raise Refusal("InvalidLaunchTemplateName.AlreadyExistsException", "Launch template name already in use.")
        if not params.get("LaunchTemplateData"):
            raise Refusal("MissingParameter", "Launch template data must not be empty")
        tags = specified_tags(params, "launch-template").get("launch-template", {})
        template = LaunchTemplate(self._account.new_id("lt"), name, tags, params.get("VersionDescription", ""))
        machines.changing(template.id, None)
        machines.templates[template.id] = template
        return template


def _change(instance: Instance, before: str) -> dict[str, Any]:
    return {
        "InstanceId": instance.id,
        "PreviousState": {"Name": before},
        "CurrentState": {"Name": instance.state},
    }


def _attachment(volume: Volume) -> dict[str, Any]:
    found: dict[str, Any] = described_volume(volume)["Attachments"][0]
    return found


def _passes(params: dict[str, Any], entry: dict[str, Any], facts: dict[str, list[str]]) -> bool:
    """Whether what is seen of a resource passes all filters; an unknown filter is refused, as AWS does."""
    tags = {tag["Key"]: tag["Value"] for tag in entry["Tags"]}
    for wanted in params.get("Filters", []):
        name, values = wanted["Name"], wanted["Values"]
        if name.startswith("tag:"):
            found = [tags[name[4:]]] if name[4:] in tags else []
        elif name in facts:
            found = facts[name]
        else:
            raise Refusal("InvalidParameterValue", f"The filter '{name}' is invalid")
        if not set(found) & set(values):
            return False
    return True


def page_of(
    machines: Machines, params: dict[str, Any], key: str, found: list[dict[str, Any]], identifiers: str
) -> dict[str, Any]:
    """What of `found` this call answers."""
    if "MaxResults" in params and params.get(identifiers):
        raise Refusal("InvalidParameterCombination", f"{identifiers} and MaxResults cannot be given together")
    size, start = params.get("MaxResults") or machines.page, int(params.get("NextToken") or 0)
    if size is None or len(found) <= start + size:
        return {key: found[start:]}
    return {key: found[start : start + size], "NextToken": str(start + size)}
