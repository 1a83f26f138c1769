from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from .platform import NAME, AwsPlatform


@pytest.fixture
def provider(aws: AwsPlatform, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """The provider in this process, for an upgrade of this id."""
    for key, value in aws.env().items():
        monkeypatch.setenv(key, value)
    from vvctl.upgrade.aws.discovery import discover  # noqa: PLC0415
    from vvctl.upgrade.aws.provider import make  # noqa: PLC0415

    def made(upgrade: str = "u1", **facts: Any) -> Any:
        return make(discover(NAME) | facts, upgrade, 0.05)

    return made
