"""The upgrade's provider for AWS. See world.py for what a system is here."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from vvctl.publish.aws.cloud import Cloud
from vvctl.publish.aws.plan import tag_list
from vvctl.publish.aws.retry import Patience
from vvctl.upgrade.aws import preflight
from vvctl.upgrade.aws.disks import Disks
from vvctl.upgrade.aws.effects import effects
from vvctl.upgrade.aws.errors import CAPACITY, as_provider_errors
from vvctl.upgrade.aws.facts import Facts
from vvctl.upgrade.aws.hands import Hands, done_if
from vvctl.upgrade.aws.lock import Mutex
from vvctl.upgrade.aws.marks import SYSTEM, Part
from vvctl.upgrade.aws.view import View, Viewer, Volume
from vvctl.upgrade.errors import ProviderError
from vvctl.upgrade.plan import Effect, Finding
from vvctl.upgrade.release import Release
from vvctl.upgrade.world import Role, System, World

# Whoever has the core look more seldom need not wait as long here: attaching takes seconds.
_LONGEST_PAUSE_S = 1.0
# The core tries again, too: a state six times, a look for minutes.
_ATTEMPTS = 5


def make(facts: dict[str, Any], upgrade_id: str, poll_s: float) -> AwsProvider:
    """Raises ProviderError when boto3 finds no way in."""
    found = Facts.of(facts)
    pause_s = min(poll_s, _LONGEST_PAUSE_S)
    with as_provider_errors():
        return AwsProvider(Cloud(found.region, Patience(_ATTEMPTS, poll=pause_s)), found, upgrade_id, pause_s)


class AwsProvider:
    """One machine and one image. Every method raises ProviderError."""

    name = "aws"
    # The snapshot is made once the machine is off, before the new root volume is attached.
    safety_before_move = True

    def __init__(self, cloud: Cloud, facts: Facts, upgrade: str, pause_s: float) -> None:
        self._cloud, self._facts, self._upgrade = cloud, facts, upgrade
        self._ec2 = cloud.ec2(facts.region)
        self._viewer = Viewer(cloud, facts, upgrade)
        self._pause_s = pause_s
        self._hands = Hands(cloud, self._viewer, pause_s)
        self._disks = Disks(cloud, facts, upgrade, self._hands)
        self._mutex = Mutex(cloud, facts, upgrade, self._hands)
        # What was seen or made, and is not believed to be gone at the first look without it.
        self._known: set[str] = set()
        self._missing_since: float | None = None
        # Until then something may be there that a process before this one made a moment ago.
        self._unsettled_until = time.monotonic() + self._hands.settle_s

    def target(self) -> Release:
        return Release(self._facts.version, self._facts.format_epoch)

    def observe(self) -> World:
        with as_provider_errors():
            view = self._viewer.look()
            while self._doubtful(view):
                time.sleep(self._pause_s)
                view = self._viewer.look()
            return self._world(view)

    def preflight(self) -> Sequence[Finding]:
        with as_provider_errors():
            return preflight.findings(self._cloud, self._facts, self._upgrade, self._viewer.look())

    def effects(self) -> Sequence[Effect]:
        with as_provider_errors():
            return effects(self._facts, self._viewer.look())

    def lock(self) -> None:
        with as_provider_errors():
            preflight.check_unlock(self._cloud, self._facts)
            if self._mutex.take():
                self._unsettled_until = 0.0

    def unlock(self) -> None:
        with as_provider_errors():
            self._forget(*([lock.id] if (lock := self._viewer.look().lock) else []))
            self._mutex.give_back()

    def stage_new(self) -> None:
        """The volume; and a first snapshot of the data, so that the one while the machine is off is quick."""
        facts = self._facts
        with as_provider_errors():
            view = self._viewer.look()
            if view.old is None:
                raise ProviderError(f"the root volume {facts.root_volume} is gone")
            name = f"{facts.name or facts.instance} system {facts.version}"
            self._disks.make(Part.SYSTEM, view.old, facts.snapshot, name)
            self._disks.snapshot(
                Part.WARM, facts.data_volume, f"{facts.name or facts.instance} data, ahead of an upgrade"
            )

    def discard_new(self) -> None:
        with as_provider_errors():
            self._delete(self._viewer.look().new)

    def ask_to_stop(self, role: Role) -> None:
        with as_provider_errors():
            if self._rooted(self._viewer.look(), role):
                self._stop(lambda view: view.state in {"stopping", "stopped"}, Force=False)

    def cut_power(self, role: Role) -> None:
        with as_provider_errors():
            view = self._viewer.look()
            if view.state == "pending":
                # One that starts cannot be stopped yet.
                self._hands.wait("the machine starts", lambda view: done_if(view.state != "pending"))
            if self._rooted(view, role):
                if view.state == "stopping":
                    # It was asked to stop in order, and is not given the time.
                    self._cloud.call(self._ec2.stop_instances, InstanceIds=[self._facts.instance], Force=True)
                self._stop(lambda view: view.state == "stopped", Force=True)

    def start(self, role: Role) -> None:
        with as_provider_errors():
            if self._viewer.look().state == "stopping":
                self._hands.wait("the machine stops", lambda view: done_if(view.state == "stopped"))
            view = self._viewer.look()
            if not (self._rooted(view, role) and view.data_in_place):
                raise ProviderError(f"the volumes of the {role} system are not attached, so it is not started")
            self._hands.ensure(
                "the machine starts",
                lambda view: done_if(view.state == "running", under_way=view.state == "pending"),
                lambda: self._cloud.attempt(
                    lambda: self._ec2.start_instances(InstanceIds=[self._facts.instance]),
                    "ec2",
                    lambda error: error.aws_code == CAPACITY,
                ),
                why=lambda view: view.instance.get("StateReason", {}).get("Message", ""),
            )

    def move_data(self, to: Role) -> None:
        """Exchange the root volumes; the data volume stays where it is, or comes back."""
        facts = self._facts
        with as_provider_errors():
            view = self._stopped()
            ours, others = self._volume(view, to), self._volume(view, to.other)
            if ours is None or view.data is None:
                raise ProviderError(f"a volume of the {to} system is gone")
            if others is not None and others.on(facts.instance):
                self._disks.detach(others.id)
            self._disks.attach(view.data.id, facts.data_device)
            self._disks.attach(ours.id, facts.root_device)

    def take_safety(self) -> None:
        facts = self._facts
        with as_provider_errors():
            view = self._stopped()
            if view.data is None:
                raise ProviderError(f"the data volume {facts.data_volume} is gone")
            self._disks.snapshot(
                Part.SAFETY, view.data.id, f"{facts.name or facts.instance} data, before {facts.version}"
            )

    def restore_safety(self) -> None:
        """Put a volume of the snapshot in the place of the one that was written to, which is kept and marked."""
        facts = self._facts
        with as_provider_errors():
            view = self._stopped()
            restored, written = view.volume(Part.RESTORED), view.volumes.get(facts.data_volume)
            if restored is None:
                safety = view.safety()
                if written is None or safety is None:
                    raise ProviderError(
                        "the point in time to which the data could be put back is gone",
                        hint="restore the backup beside the journal, docs/upgrade.md",
                    )
                name = written.tags.get("Name", f"{facts.name or facts.instance} data")
                self._disks.make(Part.RESTORED, written, safety["SnapshotId"], name)
                restored = self._viewer.look().volume(Part.RESTORED)
            if restored is None:
                raise ProviderError("the restored volume is not seen", transient=True)
            self._hands.wait(
                f"{restored.id} is made",
                lambda view: done_if(view.known(restored.id).state in {"available", "in-use"}),
            )
            if written is not None:
                self._disks.mark_written(written.id)
                self._disks.detach(written.id)
            self._disks.attach(restored.id, facts.data_device)
            self._disks.ends_with_machine(restored.id, facts.data_device, ends=facts.data_ends_with_machine)

    def drop_safety(self) -> None:
        with as_provider_errors():
            self._forget(*self._viewer.look().snapshots)
            self._disks.delete_snapshots(Part.SAFETY, Part.WARM)

    def move_identity(self, to: Role) -> None:
        """Addresses and interfaces are the instance's; what is left is that EC2 treats the root volume as before."""
        facts = self._facts
        with as_provider_errors():
            view = self._viewer.look()
            volume = self._volume(view, to)
            if volume is None or not view.root(volume):
                raise ProviderError(f"the root volume of the {to} system is not attached")
            self._disks.ends_with_machine(volume.id, facts.root_device, ends=facts.root_ends_with_machine)

    def mark_active(self, role: Role) -> None:
        with as_provider_errors():
            volume = self._volume(self._viewer.look(), role)
            if volume is None:
                raise ProviderError(f"the root volume of the {role} system is gone")
            tags = tag_list({SYSTEM: volume.id})
            self._hands.ensure(
                f"{volume.id} is marked as the one in charge",
                lambda view: done_if(view.tags.get(SYSTEM) == volume.id),
                lambda: self._cloud.call(self._ec2.create_tags, Resources=[self._facts.instance], Tags=tags),  # type: ignore[arg-type]
            )

    def retire(self, role: Role) -> None:
        with as_provider_errors():
            self._delete(self._volume(self._viewer.look(), role))

    def _stop(self, stopped: Any, **request: bool) -> None:
        self._hands.ensure(
            "the machine stops",
            lambda view: done_if(stopped(view), under_way=view.state in {"stopping", "shutting-down"}),
            lambda: self._cloud.call(self._ec2.stop_instances, InstanceIds=[self._facts.instance], **request),
        )

    def _stopped(self) -> View:
        """A look at the machine while it is off; raises ProviderError when it is not."""
        view = self._viewer.look()
        if view.state != "stopped":
            raise ProviderError(f"{self._facts.machine} is {view.state}, not stopped: nothing is moved")
        return view

    def _delete(self, volume: Volume | None) -> None:
        if volume is not None:
            self._hands.wait(
                f"{volume.id} is made",
                lambda view: done_if(volume.id not in view.volumes or view.volumes[volume.id].state != "creating"),
            )
            self._forget(volume.id)
            self._disks.delete(volume)

    def _volume(self, view: View, role: Role) -> Volume | None:
        return view.old if role is Role.OLD else view.new

    def _rooted(self, view: View, role: Role) -> bool:
        return view.root(self._volume(view, role))

    def _doubtful(self, view: View) -> bool:
        """Whether `view` may be older than the last change."""
        now = time.monotonic()
        if missing := self._known - view.ids:
            self._missing_since = self._missing_since or now
            if now - self._missing_since < self._hands.settle_s:
                return True
            self._forget(*missing)
        self._missing_since = None
        self._known |= view.ids
        if now > self._unsettled_until or not self._upgrade:
            return False
        if view.lock is None:
            return True
        return view.lock.upgrade == self._upgrade and (view.new is None or view.old is None or view.safety() is None)

    def _forget(self, *ids: str) -> None:
        """These may be gone."""
        self._known -= set(ids)

    def _world(self, view: View) -> World:
        foreign = [
            str(entry.get("InstanceId"))
            for entry in (view.data.attachments if view.data else [])
            if entry.get("InstanceId") != self._facts.instance
        ]
        root = next((role for role in Role if self._rooted(view, role)), None)
        rooted = self._volume(view, root) if root else None
        as_before = rooted is not None and rooted.ends_with_machine() == self._facts.root_ends_with_machine
        safety = view.safety()
        return World(
            old=self._system(view, view.old, staged=True),
            new=self._system(view, view.new, staged=self._staged(view)),
            data_id=view.data.id if view.data else None,
            data_at=root if view.data_in_place else None,
            foreign=foreign[0] if foreign else None,
            safety=safety["SnapshotId"] if safety else None,
            identity_at=root if as_before else None,
            active=self._active(view),
            lock=view.lock.upgrade if view.lock else None,
        )

    def _staged(self, view: View) -> bool:
        made = view.new is not None and view.new.state in {"available", "in-use"}
        return made and (view.safety(Part.WARM) is not None or view.safety() is not None)

    def _active(self, view: View) -> Role | None:
        """By the tag; before the first upgrade nobody has set one."""
        marked = view.tags.get(SYSTEM, self._facts.root_volume)
        return next((role for role in Role if (volume := self._volume(view, role)) and volume.id == marked), None)

    def _system(self, view: View, volume: Volume | None, *, staged: bool) -> System | None:
        if volume is None:
            return None
        rooted = view.root(volume)
        return System(
            volume.id,
            f"{self._facts.machine} with the root volume {volume.id}",
            running=rooted and view.runs,
            staged=staged,
            stopping=rooted and view.state in {"stopping", "shutting-down"},
        )
