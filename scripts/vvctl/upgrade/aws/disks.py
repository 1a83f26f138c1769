"""Volumes and snapshots: made once, attached, detached, deleted."""

from __future__ import annotations

from typing import Any

from vvctl.publish.aws.cloud import Cloud
from vvctl.publish.aws.plan import tag_list
from vvctl.upgrade.aws.facts import Facts
from vvctl.upgrade.aws.hands import Hands, Progress, done_if
from vvctl.upgrade.aws.marks import MACHINE, PART, UPGRADE, Part, inherited, specification
from vvctl.upgrade.aws.view import View, Volume
from vvctl.upgrade.errors import ProviderError

# The first snapshot of a large disk; the ones after it take what was changed since.
_SNAPSHOT_LIMIT_S = 8 * 3600.0
# Which of its properties a volume is made with again, by type (API_CreateVolume).
_RATED = {"gp3": ("Iops", "Throughput"), "io1": ("Iops",), "io2": ("Iops",)}


class Disks:
    """What an upgrade does with volumes. Raises AwsError and ProviderError."""

    def __init__(self, cloud: Cloud, facts: Facts, upgrade: str, hands: Hands) -> None:
        self._cloud, self._facts, self._upgrade, self._hands = cloud, facts, upgrade, hands
        self._ec2 = cloud.ec2(facts.region)

    def make(self, part: Part, like: Volume, snapshot: str, name: str) -> None:
        """A volume of `snapshot`, otherwise like `like`; ready to be attached when this returns."""
        kind = like.found["VolumeType"]
        request: dict[str, Any] = {
            "AvailabilityZone": self._facts.zone,
            "SnapshotId": snapshot,
            "Size": like.found["Size"],
            "VolumeType": kind,
            **{key: like.found[key] for key in _RATED.get(kind, ()) if key in like.found},  # type: ignore[literal-required]
            # An attempt whose answer is lost makes no second one.
            "ClientToken": f"{self._upgrade}-{part}",
            "TagSpecifications": specification("volume", inherited(like.tags, self._marks(part, name))),
        }
        if like.found["Encrypted"]:
            request |= {"Encrypted": True, "KmsKeyId": like.found["KmsKeyId"]}

        def look(view: View) -> Progress:
            volume = view.volume(part)
            if volume is not None and volume.state == "error":
                raise ProviderError(
                    f"EC2 could not make {volume.id} of {snapshot}", hint="may its key be used? then resume"
                )
            return done_if(volume is not None and volume.state in {"available", "in-use"}, under_way=volume is not None)

        self._hands.ensure(
            f"a volume is made of {snapshot}", look, lambda: self._cloud.call(self._ec2.create_volume, **request)
        )

    def snapshot(self, part: Part, volume: str, description: str) -> None:
        """A complete snapshot of `volume`; its point in time is that of the call."""
        tags = self._marks(part, description)

        def begun(view: View) -> bool:
            return any(found["State"] in {"pending", "completed"} for found in view.of(part))

        def look(view: View) -> Progress:
            return done_if(view.safety(part) is not None, under_way=begun(view))

        def once() -> None:
            # CreateSnapshot has no client token: look before each attempt.
            if not begun(self._hands.viewer.look()):
                self._ec2.create_snapshot(
                    VolumeId=volume,
                    Description=description,
                    TagSpecifications=specification("snapshot", tags),
                )

        self._hands.ensure(
            f"a snapshot is made of {volume}",
            look,
            lambda: self._cloud.attempt(once, "ec2"),
            limit_s=_SNAPSHOT_LIMIT_S,
            why=lambda view: "; ".join(found.get("StateMessage", "") for found in view.of(part)),
        )

    def attach(self, volume: str, device: str) -> None:
        """Attach it to the machine as `device`."""
        instance = self._facts.instance
        self._hands.wait(f"{volume} is detached", lambda view: done_if(not view.known(volume).leaving))
        self._hands.ensure(
            f"{volume} is attached as {device}",
            lambda view: done_if(
                view.known(volume).attached(instance, device), under_way=view.known(volume).on(instance)
            ),
            lambda: self._cloud.call(self._ec2.attach_volume, VolumeId=volume, InstanceId=instance, Device=device),
        )

    def detach(self, volume: str) -> None:
        """Take it off the machine, which does not run; never by force, which could lose writes."""
        instance = self._facts.instance
        self._hands.ensure(
            f"{volume} is detached",
            lambda view: done_if(not view.known(volume).on(instance), under_way=view.known(volume).leaving),
            lambda: self._cloud.call(self._ec2.detach_volume, VolumeId=volume, InstanceId=instance),
        )

    def ends_with_machine(self, volume: str, device: str, *, ends: bool) -> None:
        """Whether EC2 deletes it with the instance: attaching forgets that."""
        request: Any = {"BlockDeviceMappings": [{"DeviceName": device, "Ebs": {"DeleteOnTermination": ends}}]}
        self._hands.ensure(
            f"{volume} is kept or deleted with the machine as before",
            lambda view: done_if(view.known(volume).ends_with_machine() == ends),
            lambda: self._cloud.call(self._ec2.modify_instance_attribute, InstanceId=self._facts.instance, **request),
        )

    def mark_written(self, volume: str) -> None:
        """Say what becomes of a data volume that is not used any more; nobody deletes it but a person."""
        tags = {UPGRADE: self._upgrade, MACHINE: self._facts.instance, PART: Part.WRITTEN.value}
        self._hands.ensure(
            f"{volume} is marked",
            lambda view: done_if(view.known(volume).part_of(self._upgrade) == Part.WRITTEN),
            lambda: self._cloud.call(self._ec2.create_tags, Resources=[volume], Tags=tag_list(tags)),  # type: ignore[arg-type]
        )

    def delete(self, volume: Volume) -> None:
        """Delete a system's volume; refuses while it is attached."""
        part = volume.part_of(self._upgrade)
        if volume.attachments or volume.id == self._facts.data_volume or part not in {"", Part.SYSTEM}:
            raise ProviderError(f"{volume.id} is in use, or holds data: it is not deleted")
        self._hands.ensure(
            f"{volume.id} is deleted",
            lambda view: done_if(volume.id not in view.volumes),
            lambda: self._cloud.call(self._ec2.delete_volume, VolumeId=volume.id),
        )

    def delete_snapshots(self, *parts: Part) -> list[str]:
        """Delete all that were made for `parts`, also what came to nothing; returns their ids."""
        view = self._hands.viewer.look()
        found = [entry["SnapshotId"] for part in parts for entry in view.of(part)]
        for snapshot in found:
            self._hands.ensure(
                f"{snapshot} is deleted",
                lambda view, snapshot=snapshot: done_if(snapshot not in view.snapshots),  # type: ignore[misc]
                lambda snapshot=snapshot: self._cloud.call(self._ec2.delete_snapshot, SnapshotId=snapshot),  # type: ignore[misc]
            )
        return found

    def _marks(self, part: Part, name: str) -> dict[str, str]:
        return {"Name": name, UPGRADE: self._upgrade, MACHINE: self._facts.instance, PART: part.value}
