from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import boto3
import pytest
from rich.console import Console

from tests.doubles.aws.server import Aws, serve
from vvctl.appliance import Appliance
from vvctl.publish.aws.cloud import Cloud
from vvctl.publish.aws.plan import Plan
from vvctl.publish.aws.publication import Publication, Publisher
from vvctl.publish.aws.release import Release, Survey, read
from vvctl.publish.aws.retry import Patience
from vvctl.publish.aws.validation import Difference, Validator
from vvctl.publish.display import Display

from . import small

REGION, OTHER_REGION, FRIEND = "eu-central-1", "eu-west-3", "210987654321"


@dataclass
class Engineer:
    """What a release engineer does, without a terminal and without waiting."""

    aws: Aws
    cloud: Cloud
    appliance: Appliance
    release: Release
    raw: dict[str, Path]
    surveys: dict[str, Survey]
    journals: Path

    def plan(self, **options: Any) -> Plan:
        return Plan(**{"name": self.release.image_name, "region": REGION} | options)

    def publisher(self, **options: Any) -> Publisher:
        return Publisher(self.cloud, self.appliance, self.release, self.plan(**options), quiet())

    def publish(self, **options: Any) -> Publication:
        return self.publisher(**options).publish(self.journals, lambda: self.surveys)

    def differences(self, **options: Any) -> list[Difference]:
        validator = Validator(self.cloud, self.appliance, self.release, self.plan(**options), self.surveys)
        return validator.differences(quiet())

    def assert_published(self, *regions: str) -> None:
        assert {region.name for region in self.aws.account.regions if region.images} == set(regions)
        for region in regions:
            small.assert_published(self.aws.account, region, self.appliance, self.raw)

    def key(self, region: str = REGION) -> str:
        """A customer managed key."""
        arn: str = boto3.client("kms", region_name=region).create_key()["KeyMetadata"]["Arn"]
        return arn


def quiet() -> Display:
    return Display(Console(file=StringIO()))


@pytest.fixture(scope="session")
def dist(appliance: Appliance, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Path]]:
    """A folder like dist/, and the raw disks that it was made of."""
    folder = tmp_path_factory.mktemp("release") / "dist"
    return folder, small.write(folder, appliance)


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    """The double; boto3 in this process and in children speaks to it."""
    double = Aws(tmp_path_factory.mktemp("aws"))
    with serve(double) as url, pytest.MonkeyPatch.context() as environment:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            environment.delenv(name)
        for name, value in {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "AKIATEST",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }.items():
            environment.setenv(name, value)
        yield double


@pytest.fixture
def aws(server: Aws) -> Aws:
    """The double with an empty account."""
    server.reset()
    return server


@pytest.fixture(scope="package")
def cloud(server: Aws) -> Cloud:
    """Clients take longer to make than a small disk to upload."""
    return Cloud(REGION, Patience(first=0.001, longest=0.005, poll=0.001, deadline=20))


@pytest.fixture(scope="session")
def surveys(appliance: Appliance, dist: tuple[Path, dict[str, Path]]) -> dict[str, Survey]:
    return {name: disk.survey() for name, disk in read(dist[0], appliance).disks.items()}


@pytest.fixture
def engineer(  # noqa: PLR0917 (fixtures are named)
    aws: Aws,
    cloud: Cloud,
    appliance: Appliance,
    dist: tuple[Path, dict[str, Path]],
    surveys: dict[str, Survey],
    tmp_path: Path,
) -> Engineer:
    folder, raw = dist
    return Engineer(aws, cloud, appliance, read(folder, appliance), raw, surveys, tmp_path / "journals")
