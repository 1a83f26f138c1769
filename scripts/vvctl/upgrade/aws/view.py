"""One look at everything that an upgrade deals with, as EC2 describes it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vvctl.publish.aws.cloud import Cloud
from vvctl.publish.aws.plan import tag_dict
from vvctl.upgrade.aws.facts import Facts
from vvctl.upgrade.aws.marks import BY, PART, UPGRADE, Part, lock_name
from vvctl.upgrade.errors import ProviderError

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import (
        InstanceTypeDef,
        LaunchTemplateTypeDef,
        SnapshotTypeDef,
        VolumeTypeDef,
    )

# In these the instance's software may write.
_ON = {"pending", "running", "stopping", "shutting-down"}
_DELETED = {"deleting", "deleted"}


class Volume:
    """A volume as it was found."""

    def __init__(self, found: VolumeTypeDef) -> None:
        self.id, self.found = found["VolumeId"], found
        self.state: str = found["State"]
        self.tags = tag_dict(found.get("Tags"))
        self.attachments = [entry for entry in found.get("Attachments", []) if entry.get("State") != "detached"]

    def part_of(self, upgrade: str) -> str:
        """What it is for in that upgrade; an earlier one may have made it, too."""
        return self.tags.get(PART, "") if self.tags.get(UPGRADE) == upgrade else ""

    @property
    def leaving(self) -> bool:
        return any(entry.get("State") == "detaching" for entry in self.attachments)

    def on(self, instance: str) -> bool:
        """Attached, or on its way there or back."""
        return any(entry.get("InstanceId") == instance for entry in self.attachments)

    def attached(self, instance: str, device: str) -> bool:
        """Attached, and to be used."""
        return any(
            (entry.get("InstanceId"), entry.get("Device"), entry.get("State")) == (instance, device, "attached")
            for entry in self.attachments
        )

    def ends_with_machine(self) -> bool:
        return any(entry.get("DeleteOnTermination", False) for entry in self.attachments)


class Lock:
    """The launch template that says that an upgrade is under way."""

    def __init__(self, found: LaunchTemplateTypeDef) -> None:
        self.id, self.since = found["LaunchTemplateId"], found["CreateTime"]
        tags = tag_dict(found.get("Tags"))
        # Whoever made it without a tag has it all the same.
        self.upgrade = tags.get(UPGRADE) or "somebody else's"
        self.by = tags.get(BY, "nobody knows whom")


@dataclass(frozen=True)
class View:
    """What was found. `volumes` and `snapshots`: the machine's, and what carries the upgrade's id."""

    facts: Facts
    upgrade: str
    instance: InstanceTypeDef
    volumes: dict[str, Volume]
    snapshots: dict[str, SnapshotTypeDef]
    lock: Lock | None

    @property
    def state(self) -> str:
        return self.instance["State"]["Name"]

    @property
    def runs(self) -> bool:
        return self.state in _ON

    @property
    def tags(self) -> dict[str, str]:
        """The instance's."""
        return tag_dict(self.instance.get("Tags"))

    @property
    def old(self) -> Volume | None:
        return self.volumes.get(self.facts.root_volume)

    @property
    def new(self) -> Volume | None:
        return self.volume(Part.SYSTEM)

    def volume(self, part: Part) -> Volume | None:
        """The upgrade's own volume for `part`."""
        return next((volume for volume in self.volumes.values() if volume.part_of(self.upgrade) == part), None)

    def known(self, volume: str) -> Volume:
        """The volume of that id; raises ProviderError."""
        if volume not in self.volumes:
            raise ProviderError(f"{volume} is not seen", hint="was it deleted?", transient=True)
        return self.volumes[volume]

    @property
    def data(self) -> Volume | None:
        """The data volume; one that was restored takes its place as soon as the other one has left it."""
        original, restored = self.volumes.get(self.facts.data_volume), self.volume(Part.RESTORED)
        if restored is not None and (original is None or not original.on(self.facts.instance)):
            return restored
        return original

    def root(self, volume: Volume | None) -> bool:
        """Whether the machine starts from `volume`."""
        return volume is not None and volume.attached(self.facts.instance, self.facts.root_device)

    @property
    def data_in_place(self) -> bool:
        return self.data is not None and self.data.attached(self.facts.instance, self.facts.data_device)

    def safety(self, part: Part = Part.SAFETY) -> SnapshotTypeDef | None:
        """A complete snapshot for `part`."""
        return next((found for found in self.of(part) if found["State"] == "completed"), None)

    def of(self, part: Part) -> list[SnapshotTypeDef]:
        """All snapshots for `part`, whatever became of them: a lost answer may have made two."""
        return [found for found in self.snapshots.values() if tag_dict(found.get("Tags")).get(PART) == part]

    @property
    def ids(self) -> set[str]:
        return {*self.volumes, *self.snapshots, *({self.lock.id} if self.lock else ())}


class Viewer:
    """Looks. Raises AwsError, and ProviderError when the machine is gone."""

    def __init__(self, cloud: Cloud, facts: Facts, upgrade: str) -> None:
        self._cloud, self._facts, self._upgrade = cloud, facts, upgrade

    def look(self) -> View:
        facts = self._facts
        return View(
            facts,
            self._upgrade,
            self._instance(),
            {
                volume.id: volume
                for volume in [
                    *self._volumes("volume-id", facts.root_volume, facts.data_volume),
                    *self._volumes(f"tag:{UPGRADE}", self._upgrade),
                ]
            },
            {
                found["SnapshotId"]: found
                for found in self._pages("describe_snapshots", "Snapshots", f"tag:{UPGRADE}", [self._upgrade])
            },
            self._lock(),
        )

    def _instance(self) -> InstanceTypeDef:
        # By filter: an id that is not there would be an error, and one of a moment's delay.
        found = [
            instance
            for reservation in self._pages("describe_instances", "Reservations", "instance-id", [self._facts.instance])
            for instance in reservation["Instances"]
        ]
        if not found or found[0]["State"]["Name"] == "terminated":
            raise ProviderError(
                f"the machine {self._facts.machine} does not exist any more",
                hint=f"its data volume was {self._facts.data_volume}: launch a machine with it, docs/upgrade.md",
            )
        instance: InstanceTypeDef = found[0]
        return instance

    def _volumes(self, key: str, *values: str) -> Iterable[Volume]:
        for found in self._pages("describe_volumes", "Volumes", key, list(values)):
            if found["State"] not in _DELETED:
                yield Volume(found)

    def _lock(self) -> Lock | None:
        name = lock_name(self._facts.instance)
        found = self._pages("describe_launch_templates", "LaunchTemplates", "launch-template-name", [name])
        return Lock(found[0]) if found else None

    def _pages(self, operation: Any, key: str, name: str, values: list[str]) -> list[Any]:
        return everything(self._cloud, self._facts.region, operation, key, Filters=[{"Name": name, "Values": values}])


def everything(cloud: Cloud, region: str, operation: Any, key: str, **request: Any) -> list[Any]:
    """All pages of what an operation lists; an attempt that fails begins again with the first."""
    paginator = cloud.ec2(region).get_paginator(operation)

    def read() -> list[Any]:
        return [entry for page in paginator.paginate(**request) for entry in page[key]]

    return cloud.attempt(read, "ec2")
