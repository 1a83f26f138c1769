"""An upgrade on the double of AWS, the quickest of the platforms; folders of other platforms have their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from vvctl.appliance import Appliance

from .aws.platform import AwsPlatform, platform
from .operator import Operator


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What shares a double or a machine stays together when tests run side by side."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here) and item.get_closest_marker("xdist_group") is None:
            group = item.path.relative_to(here).parts[0]
            item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="module")
def served(appliance: Appliance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsPlatform]:
    with platform(tmp_path_factory.mktemp("aws"), appliance) as made:
        yield made


@pytest.fixture
def aws(served: AwsPlatform) -> AwsPlatform:
    """A fresh account, in which version A runs and an image of B is at hand."""
    served.reset()
    return served


@pytest.fixture
def operator(aws: AwsPlatform, tmp_path: Path) -> Operator:
    return Operator(aws, tmp_path / "journal")
