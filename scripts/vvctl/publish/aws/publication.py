"""`vvctl publish aws`: both disks into snapshots, an image of them, copies, permissions.

Nothing is remembered that AWS can be asked for: a run looks what is there and does what is missing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from vvctl.appliance import Appliance
from vvctl.journal import Journal
from vvctl.publish.aws import images, preflight
from vvctl.publish.aws.cloud import Cloud
from vvctl.publish.aws.ledger import Ledger, journal_path
from vvctl.publish.aws.plan import Labels, Plan, image_attributes, tag_dict
from vvctl.publish.aws.release import DISKS, Release, Survey
from vvctl.publish.aws.snapshots import SnapshotWriter
from vvctl.publish.display import Display

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import ImageTypeDef


@dataclass(frozen=True)
class PublishedImage:
    """An image that can be launched, with its snapshot by disk."""

    region: str
    image: str
    snapshots: dict[str, str]


@dataclass(frozen=True)
class Upload:
    """What one run sent of one disk; blocks are of 512 KiB."""

    disk: str
    blocks: int
    sent: int
    seconds: float


@dataclass(frozen=True)
class Publication:
    """What `vvctl publish aws --json` prints."""

    name: str
    account: str
    build: str
    accounts: tuple[str, ...]
    images: list[PublishedImage]
    uploads: list[Upload] = field(default_factory=list)


class Publisher:
    """Publishes one release by one plan."""

    def __init__(self, cloud: Cloud, appliance: Appliance, release: Release, plan: Plan, display: Display) -> None:
        self._cloud = cloud
        self._appliance = appliance
        self._release = release
        self._plan = plan
        self._display = display
        self._labels = Labels(release.product)
        self._uploads: list[Upload] = []

    def check(self) -> None:
        """Everything that can be known before the first byte; raises AwsError. Makes nothing."""
        self._plan = preflight.check(self._cloud, self._plan)
        for region in self._plan.regions:
            image = images.find(self._cloud, region, self._plan.name)
            if image and not self._of_this_build(image):
                raise images.NameTaken(
                    f"{image['ImageId']} in {region} is called {self._plan.name} already, and is of another build",
                    hint="give another --name, or remove it first: vvctl unpublish aws",
                )

    def survey(self) -> dict[str, Survey]:
        """Read both disks; raises IntegrityError."""
        with self._display.waiting("Reading the disks"):
            return {name: self._release.disks[name].survey() for name in DISKS}

    def publish(self, journals: Path, survey: Callable[[], dict[str, Survey]]) -> Publication:
        """Do whatever is missing; `survey` is called only when something must be uploaded. Raises AwsError."""
        self.check()
        with Journal(journal_path(journals, self._cloud.account, self._plan.region, self._plan.name)) as journal:
            ledger = Ledger(journal)
            publication = ledger.begin(self._plan, self._release, self._publication_in_aws())
            tags = self._labels.all(self._plan, self._release, publication)
            attributes = image_attributes(self._appliance, self._release)
            maker = images.ImageMaker(self._cloud, self._plan, attributes, self._labels.publication, tags)
            if maker.find_own(self._plan.region) is None:
                snapshots = self._upload(ledger, tags, survey())
                maker.register(self._appliance, snapshots)
            return self._spread(maker, ledger)

    def _publication_in_aws(self) -> str | None:
        """The identity of an image that another machine published, so that this one can go on."""
        image = images.find(self._cloud, self._plan.region, self._plan.name)
        return tag_dict(image.get("Tags")).get(self._labels.publication) if image else None

    def _of_this_build(self, image: ImageTypeDef) -> bool:
        return tag_dict(image.get("Tags")).get(self._labels.content) == self._release.content

    def _upload(
        self, ledger: Ledger, tags: dict[str, str], surveys: dict[str, Survey]
    ) -> dict[str, tuple[Survey, str]]:
        writer = SnapshotWriter(self._cloud, self._plan, ledger, tags, self._display)
        made = {}
        # The smallest first: a right that is missing to complete a snapshot shows after seconds.
        for name, survey in sorted(surveys.items(), key=lambda item: len(item[1].checksums)):
            begun = time.monotonic()
            made[name] = survey, writer.ensure(survey)
            seconds = round(time.monotonic() - begun, 1)
            self._uploads.append(Upload(name, len(survey.checksums), writer.sent.get(name, 0), seconds))
        return {name: made[name] for name in DISKS}

    def _spread(self, maker: images.ImageMaker, ledger: Ledger) -> Publication:
        """Copy and share; AWS copies to all regions at the same time."""
        plan = self._plan
        with self._display.waiting(f"AWS makes {plan.name} available in {plan.region}"):
            source = maker.available(plan.region)["ImageId"]
        for region in plan.copies:
            if maker.find_own(region) is None:
                ledger.copying(region)
                maker.copy(source, region, ledger.token("copy", region))
        published = []
        for region in plan.regions:
            with self._display.waiting(f"AWS copies {plan.name} to {region}"):
                image = maker.available(region)
            snapshots = images.snapshots_of(image, self._appliance)
            if plan.accounts:
                maker.share(region, image["ImageId"], snapshots.values())
            published.append(PublishedImage(region, image["ImageId"], snapshots))
            self._display.say(f"{image['ImageId']} in {region}")
        return Publication(plan.name, self._cloud.account, self._release.build, plan.accounts, published, self._uploads)
