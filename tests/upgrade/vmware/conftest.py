from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.vmware.program import build
from tests.upgrade.operator import Operator
from vvctl.appliance import Appliance

from .platform import VmwarePlatform, platform


@pytest.fixture(scope="session")
def program(root: Path) -> Path:
    return build("vcenter", root / "build/cache/doubles")


@pytest.fixture(scope="package")
def served(program: Path, appliance: Appliance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VmwarePlatform]:
    with platform(tmp_path_factory.mktemp("vmware"), program, appliance) as made:
        yield made


@pytest.fixture
def vmware(served: VmwarePlatform) -> VmwarePlatform:
    """A fresh vCenter, in which version A runs, and an OVA of B."""
    served.reset()
    return served


@pytest.fixture
def operator(vmware: VmwarePlatform, tmp_path: Path) -> Operator:
    return Operator(vmware, tmp_path / "journal")


@pytest.fixture
def provider(vmware: VmwarePlatform, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """The provider in this process, for an upgrade of this id."""
    for key, value in vmware.env().items():
        monkeypatch.setenv(key, value)
    from vvctl.commands.upgrade_vmware import find  # noqa: PLC0415
    from vvctl.upgrade.vmware.provider import make  # noqa: PLC0415

    def made(upgrade: str = "u1", **facts: Any) -> Any:
        from .platform import NAME  # noqa: PLC0415

        found = find(
            f"localhost:{vmware.vcenter.port}",
            NAME,
            ova=vmware.image,
            vcenter_ca_file=vmware.identity.authority,
        )
        return make(found | facts, upgrade, 0.05)

    return made
