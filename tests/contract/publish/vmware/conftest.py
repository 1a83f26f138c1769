from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from tests.doubles.vmware.program import build
from tests.doubles.vmware.server import PASSWORD, USER, Identity, VCenter, make_identity, running
from vvctl.appliance import Appliance
from vvctl.image import package, vmdk
from vvctl.publish.display import Display
from vvctl.publish.vmware.archive import Archive
from vvctl.publish.vmware.connection import Connection, Credentials, Server, connected
from vvctl.publish.vmware.place import Where, resolve
from vvctl.publish.vmware.template import Order, Publisher

CREDENTIALS = Credentials(USER, PASSWORD)
WHERE = Where(compute="DC0_C0", network="VM Network")
NAME = "voice-verify-test"

Start = Callable[..., VCenter]


@pytest.fixture(scope="session")
def program(root: Path) -> Path:
    return build("vcenter", root / "build/cache/doubles")


@pytest.fixture(scope="session")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return make_identity(tmp_path_factory.mktemp("identity"))


@pytest.fixture(scope="session")
def ova(tmp_path_factory: pytest.TempPathFactory, appliance: Appliance) -> Path:
    """One like ours, with disks of some MiB that do not compress."""
    folder = tmp_path_factory.mktemp("ova")
    names = package.Names.of(appliance)
    source = random.Random(1)  # noqa: S311
    raw = {"system": folder / "system.raw", "data": folder / "data.raw"}
    vmdks = []
    for size_mib, (disk, path) in zip((6, 40), raw.items(), strict=True):
        with path.open("wb") as content:
            content.write(source.randbytes(3 << 20))
            content.truncate(size_mib << 20)
        vmdks.append(folder / names.vmdk(disk))
        vmdk.convert(path, vmdks[-1], 1)
    target = folder / names.ova
    package.write_ova(
        appliance, raw, vmdks, target, epoch=1750000000, build_id="0.1.0+0123456789ab", eula="Agree."
    )  # fmt: skip
    return target


@pytest.fixture(scope="session")
def archive(ova: Path) -> Archive:
    return Archive.load(ova)


@pytest.fixture
def start(program: Path, identity: Identity, tmp_path: Path) -> Iterator[Start]:
    """Start a vCenter with options of its own."""
    with ExitStack() as stack:

        def start(*options: str) -> VCenter:
            store = tmp_path / f"store-{len(list(tmp_path.iterdir()))}"
            store.mkdir()
            return stack.enter_context(running(program, identity, store, options))

        yield start


@pytest.fixture
def vcenter(start: Start) -> VCenter:
    return start()


def server(vcenter: VCenter) -> Server:
    return Server("localhost", vcenter.port, ca_file=vcenter.identity.authority)


@pytest.fixture
def connection(vcenter: VCenter) -> Iterator[Connection]:
    with connected(server(vcenter), CREDENTIALS) as opened:
        yield opened


def quiet() -> Display:
    return Display(Console(file=StringIO()))


@dataclass
class Engineer:
    """What a release engineer does, without a terminal."""

    archive: Archive
    vcenter: VCenter

    def publish(self, order: Order | None = None, where: Where = WHERE) -> str:
        """Publish in a session of its own, as each run of vvctl does."""
        with connected(server(self.vcenter), CREDENTIALS) as connection:
            place = resolve(connection, where)
            return Publisher(connection, self.archive, place, order or Order(NAME)).publish(quiet())

    def inventory(self) -> list[str]:
        """The names of all machines."""
        from pyVmomi import vim  # noqa: PLC0415

        with connected(server(self.vcenter), CREDENTIALS) as connection:
            return connection.names(connection.content.rootFolder, [vim.VirtualMachine])


@pytest.fixture
def engineer(archive: Archive, vcenter: VCenter) -> Engineer:
    return Engineer(archive, vcenter)
