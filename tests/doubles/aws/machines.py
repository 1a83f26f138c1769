"""Instances and volumes: what they are made of, and how time passes for them when somebody looks."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from .refusal import Refusal

# docs.aws.amazon.com/AWSEC2/latest/APIReference/API_InstanceState.html
_STATE_CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}


class Content(Protocol):
    """What is on a volume; a snapshot is a copy of it."""

    def copy(self) -> Any: ...


class Software(Content, Protocol):
    """What is on a root volume: it runs, and writes to the data volume."""

    def power_on(self, data: Any) -> None: ...

    def power_off(self) -> None: ...

    def power_button(self) -> None: ...

    @property
    def shut_down(self) -> bool: ...


@dataclass
class Attachment:
    instance: str
    device: str
    delete_on_termination: bool = False
    state: str = "attached"
    # Looks until it is attached, or gone.
    looks: int = 0


@dataclass
class Volume:
    id: str
    zone: str
    size_gib: int
    type: str = "gp3"
    key: str | None = None
    snapshot: str = ""
    iops: int = 3000
    throughput: int = 125
    tags: dict[str, str] = field(default_factory=dict)
    content: Any = None
    state: str = "available"
    # Looks until it is available, or gone.
    looks: int = 0
    attachment: Attachment | None = None
    made: datetime = field(default_factory=lambda: datetime.now(UTC))

    def tick(self) -> None:
        """Time passes when somebody looks, so that tests do not wait for it."""
        attachment = self.attachment
        if self.state == "creating":
            self.looks -= 1
            self.state = "creating" if self.looks >= 0 else "available"
        elif attachment and attachment.state == "attaching":
            attachment.looks -= 1
            attachment.state = "attaching" if attachment.looks >= 0 else "attached"
        elif attachment and attachment.state == "detaching":
            attachment.looks -= 1
            if attachment.looks < 0:
                self.attachment, self.state = None, "available"


@dataclass
class Instance:
    """`hard_stop_s`: EC2 switches a machine off when its guest does not follow; there it takes minutes."""

    id: str
    zone: str
    root_device: str
    data_device: str
    type: str = "c7i.4xlarge"
    state: str = "stopped"
    tags: dict[str, str] = field(default_factory=dict)
    # Laid over what DescribeInstances answers.
    attributes: dict[str, Any] = field(default_factory=dict)
    disable_api_stop: bool = False
    shutdown_behaviour: str = "stop"
    hard_stop_s: float = 5.0
    reason: tuple[str, str] = ("", "")
    looks: int = 0
    fails: bool = False
    forced: bool = False
    off_at: float = 0.0
    software: Software | None = None

    @property
    def on(self) -> bool:
        return self.state in {"pending", "running", "stopping"}

    def switch_on(self, volumes: dict[str, Volume], looks: int, *, fails: bool) -> None:
        self.state, self.looks, self.fails, self.reason = "pending", looks, fails, ("", "")
        if not fails:
            root, data = volumes[self.root_device], volumes.get(self.data_device)
            self.software = root.content
            root.content.power_on(data.content if data else None)

    def switch_off(self, looks: int, *, force: bool) -> None:
        if self.state == "running":
            self.state, self.looks, self.forced = "stopping", looks, False
            self.off_at = time.monotonic() + self.hard_stop_s
            self.reason = ("Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown")
        if self.state == "stopping":
            self.forced = self.forced or force
            if self.software is not None:
                self.software.power_button()

    def tick(self) -> None:
        """See Volume.tick; a guest shuts down in its own time."""
        self.looks = max(self.looks - 1, -1)
        if self.state == "pending" and self.looks < 0:
            self.state = "stopped" if self.fails else "running"
            if self.fails:
                self.reason = ("Client.InternalError", "Client.InternalError: Client error on launch")
        if self.state == "stopping" and self.looks < 0:
            shut_down = self.software is None or self.software.shut_down
            if self.forced or shut_down or time.monotonic() > self.off_at:
                self.state = "stopped"
                if self.software is not None:
                    self.software.power_off()
                    self.software = None


@dataclass
class LaunchTemplate:
    id: str
    name: str
    tags: dict[str, str]
    description: str
    made: datetime = field(default_factory=lambda: datetime.now(UTC))


class Machines:
    """The instances, volumes and launch templates of a region."""

    def __init__(self) -> None:
        self.instances: dict[str, Instance] = {}
        self.volumes: dict[str, Volume] = {}
        self.templates: dict[str, LaunchTemplate] = {}
        # Looks that a change of state takes, and until a change is seen at all (eventual consistency).
        self.looks = 1
        self.lag = 0
        # Most entries of a page; None: all on one.
        self.page: int | None = None
        self._before: dict[str, tuple[int, dict[str, Any] | None]] = {}

    def instance(self, identifier: str) -> Instance:
        if identifier not in self.instances:
            raise Refusal("InvalidInstanceID.NotFound", f"The instance ID '{identifier}' does not exist")
        return self.instances[identifier]

    def volume(self, identifier: str) -> Volume:
        if identifier not in self.volumes:
            raise Refusal("InvalidVolume.NotFound", f"The volume '{identifier}' does not exist.")
        return self.volumes[identifier]

    def volumes_of(self, instance: str) -> dict[str, Volume]:
        """What is attached, by device, also while it comes and goes."""
        return {
            volume.attachment.device: volume
            for volume in self.volumes.values()
            if volume.attachment and volume.attachment.instance == instance
        }

    def changing(self, identifier: str, before: dict[str, Any] | None) -> None:
        """`identifier` is about to change; for a while it is still seen as `before`, None for not at all."""
        if self.lag:
            self._before[identifier] = (self.lag, before)

    def seen(self, identifier: str, now: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
        """What this look shows of it."""
        left, before = self._before.get(identifier, (0, None))
        if left > 0:
            self._before[identifier] = (left - 1, before)
            return before
        return now()

    def tick(self) -> None:
        for instance in self.instances.values():
            instance.tick()


def described_volume(volume: Volume) -> dict[str, Any]:
    attachment = volume.attachment
    return {
        "VolumeId": volume.id,
        "AvailabilityZone": volume.zone,
        "Size": volume.size_gib,
        "VolumeType": volume.type,
        "Iops": volume.iops,
        "Throughput": volume.throughput,
        "SnapshotId": volume.snapshot,
        "State": volume.state,
        "CreateTime": volume.made,
        "MultiAttachEnabled": False,
        "Encrypted": volume.key is not None,
        **({"KmsKeyId": volume.key} if volume.key else {}),
        "Attachments": [
            {
                "VolumeId": volume.id,
                "InstanceId": attachment.instance,
                "Device": attachment.device,
                "State": attachment.state,
                "DeleteOnTermination": attachment.delete_on_termination,
            }
        ]
        if attachment
        else [],
        "Tags": [{"Key": key, "Value": value} for key, value in volume.tags.items()],
    }


def described_instance(instance: Instance, volumes: dict[str, Volume]) -> dict[str, Any]:
    code, message = instance.reason
    return {
        "InstanceId": instance.id,
        "InstanceType": instance.type,
        "State": {"Name": instance.state, "Code": _STATE_CODES[instance.state]},
        **({"StateReason": {"Code": code, "Message": message}} if code else {}),
        "Placement": {"AvailabilityZone": instance.zone},
        "Architecture": "x86_64",
        "EnaSupport": True,
        "CurrentInstanceBootMode": "legacy-bios",
        "RootDeviceType": "ebs",
        "RootDeviceName": instance.root_device,
        "BlockDeviceMappings": [
            {
                "DeviceName": device,
                "Ebs": {
                    "VolumeId": volume.id,
                    "Status": volume.attachment.state,
                    "DeleteOnTermination": volume.attachment.delete_on_termination,
                },
            }
            for device, volume in sorted(volumes.items())
            if volume.attachment
        ],
        "Tags": [{"Key": key, "Value": value} for key, value in instance.tags.items()],
        **instance.attributes,
    }


def described_template(template: LaunchTemplate) -> dict[str, Any]:
    return {
        "LaunchTemplateId": template.id,
        "LaunchTemplateName": template.name,
        "CreateTime": template.made,
        "DefaultVersionNumber": 1,
        "LatestVersionNumber": 1,
        "Tags": [{"Key": key, "Value": value} for key, value in template.tags.items()],
    }
