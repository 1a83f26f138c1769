"""The double of AWS as a platform of the fault matrix: an instance, its volumes, an image of the next version."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.doubles.appliance import OPERATOR_KEY, A, Appliance, B, Behaviour, Data, Fault, Faults, Guest
from tests.doubles.aws.machines import Attachment, Instance, Volume
from tests.doubles.aws.server import Aws, serve
from tests.doubles.aws.state import Image, Snapshot
from tests.upgrade.platform import NEW, OLD, Observed
from vvctl.appliance import Appliance as Config
from vvctl.publish.aws.plan import Labels

REGION, ZONE = "eu-central-1", "eu-central-1a"
NAME = "voice verify one"
ROOT_GIB, DATA_GIB = 10, 40


class SystemDisk(Guest):
    """What is on a root volume. A copy of it is another system that has never run."""

    def copy(self) -> SystemDisk:
        return SystemDisk(self.version, self.behaviour)


class AwsPlatform:
    """See tests/upgrade/platform.py."""

    name = "aws"
    faults = frozenset(Fault)

    def __init__(self, aws: Aws, url: str, config: Config) -> None:
        self.aws, self._url, self._config = aws, url, config
        self._server = Appliance(self._at_address)
        self.reset()

    @contextmanager
    def serving(self) -> Iterator[None]:
        """The appliance answers meanwhile."""
        with self._server:
            yield

    @property
    def appliance(self) -> Faults:
        return self._server.faults

    def mutations(self) -> list[str]:
        return self.aws.mutations.mutations()

    def arm(self, kind: Fault, nth: int) -> None:
        self.aws.mutations.arm(kind, nth)

    def victim(self, pid: int) -> None:
        self.aws.mutations.victim(pid)

    def env(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self._url,
            "AWS_ACCESS_KEY_ID": "AKIATEST",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "VV_API_KEY": OPERATOR_KEY,
        }

    def run_arguments(self) -> list[str]:
        return ["aws", "--machine", NAME, "--url", self._server.url]

    def reset(self, new: Behaviour = Behaviour.HEALTHY, old: Behaviour = Behaviour.HEALTHY) -> None:
        self.aws.reset()
        self._server.faults.reset()
        self._server.requests.clear()
        account, aws = self.aws.account, self._config.aws
        self.region = account.region(REGION)
        self.machines = self.region.machines
        root = Volume(account.new_id("vol"), ZONE, ROOT_GIB, content=SystemDisk(A, old), state="in-use")
        data = Volume(account.new_id("vol"), ZONE, DATA_GIB, content=Data(), state="in-use")
        data.tags = {"Name": f"{NAME} data", "backup": "daily"}
        self.machines.volumes |= {root.id: root, data.id: data}
        self.instance = Instance(account.new_id("i"), ZONE, aws.root_device, aws.data_device, tags={"Name": NAME})
        self.machines.instances[self.instance.id] = self.instance
        root.attachment = Attachment(self.instance.id, aws.root_device, delete_on_termination=True)
        data.attachment = Attachment(self.instance.id, aws.data_device)
        self.root, self.data = root, data
        self.instance.switch_on(self._volumes(), 0, fails=False)
        self.instance.tick()
        self.publish(B, new)
        self.old_snapshots = set(self.region.snapshots)

    def behave(self, behaviour: Behaviour) -> None:
        """How the system from the image will behave from now on."""
        for snapshot in self.region.snapshots.values():
            if isinstance(snapshot.content, SystemDisk):
                snapshot.content.behaviour = behaviour

    def publish(self, version: Any, behaviour: Behaviour = Behaviour.HEALTHY) -> Image:
        """An image as `vvctl publish aws` makes it."""
        account, config = self.aws.account, self._config
        snapshots = {
            config.aws.root_device: self._snapshot(ROOT_GIB, SystemDisk(version, behaviour)),
            config.aws.data_device: self._snapshot(DATA_GIB, Data()),
        }
        labels = Labels(config.product.name)
        image = Image(
            account.new_id("ami"),
            REGION,
            f"voice-verify-{version.number}",
            {
                "Architecture": "x86_64",
                "BootMode": "legacy-bios",
                "EnaSupport": True,
                "RootDeviceName": config.aws.root_device,
            },
            {
                device: {"SnapshotId": snapshot.id, "VolumeSize": snapshot.size_gib, "VolumeType": "gp3"}
                for device, snapshot in snapshots.items()
            },
            {labels.version: version.number, labels.format_epoch: str(version.format_epoch)},
            pending=0,
        )
        self.region.images[image.id] = image
        return image

    def observe(self) -> Observed:
        with self.aws.account.lock:
            return self._observe()

    def _observe(self) -> Observed:
        self.machines.tick()
        volumes = self.machines.volumes
        systems = {self._called(volume): volume for volume in volumes.values() if isinstance(volume.content, Guest)}
        data = [volume for volume in volumes.values() if isinstance(volume.content, Data)]
        in_use = [volume for volume in data if volume.attachment]
        current = (in_use or data[-1:] or [None])[0]
        rooted = frozenset(name for name, volume in systems.items() if self._rooted(volume))
        marked = self.instance.tags.get("voice-verify:system", self.root.id)
        in_charge = [name for name, volume in systems.items() if volume.id == marked]
        snapshots = set(self.region.snapshots) - self.old_snapshots
        images = {snapshot for image in self.region.images.values() for snapshot in image.snapshot_ids}
        made = {entry: self.region.snapshots[entry].tags.get("voice-verify:part") for entry in snapshots - images}
        safety = {entry for entry, part in made.items() if part == "safety"}
        if safety:
            # The one ahead of it goes with it.
            safety |= {entry for entry, part in made.items() if part == "warm"}
        kept = {volume.id for volume in data if volume.tags.get("voice-verify:part") == "written"}
        content = current.content if current else None
        templates = list(self.machines.templates.values())
        return Observed(
            systems=frozenset(systems),
            running=rooted if self.instance.on else frozenset(),
            data_at=rooted if in_use else frozenset(),
            identity_at=rooted,
            in_charge=in_charge[0] if in_charge else None,
            lock=templates[0].tags.get("voice-verify:upgrade") if templates else None,
            safety=bool(safety),
            records=content.kept() if content else None,
            format_epoch=content.format_epoch if content else None,
            maintenance=content.maintenance if content else False,
            leftovers=frozenset({*made, *(volume.id for volume in data)} - safety - kept)
            - {current.id if current else ""},
        )

    def _called(self, volume: Volume) -> str:
        if volume.id == self.root.id:
            return OLD
        twins = [
            other
            for other in self.machines.volumes.values()
            if isinstance(other.content, Guest) and other.id not in {self.root.id, volume.id}
        ]
        return NEW if not twins else f"{NEW} {volume.id}"

    def _rooted(self, volume: Volume) -> bool:
        at = volume.attachment
        return at is not None and (at.instance, at.device) == (self.instance.id, self.instance.root_device)

    def _volumes(self) -> dict[str, Volume]:
        return self.machines.volumes_of(self.instance.id)

    def _at_address(self) -> Guest | None:
        with self.aws.account.lock:
            self.machines.tick()
            software = self.instance.software
            return software if isinstance(software, Guest) else None

    def _snapshot(self, gib: int, content: Any) -> Snapshot:
        made = self.aws.account.new_snapshot(REGION, gib)
        made.state, made.content = "completed", content
        return made


@contextmanager
def platform(folder: Path, config: Config) -> Iterator[AwsPlatform]:
    """The double and the appliance, serving."""
    aws = Aws(folder)
    with serve(aws) as url:
        made = AwsPlatform(aws, url, config)
        with made.serving():
            yield made
