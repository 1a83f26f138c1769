"""A client that is not ours takes the OVA as it is: govmomi, of which govc is made."""

from __future__ import annotations

import subprocess
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.doubles.vmware.program import build
from tests.doubles.vmware.server import PASSWORD, USER
from vvctl.publish.vmware import compare, place
from vvctl.publish.vmware.connection import connected
from vvctl.publish.vmware.description import Description

from .conftest import CREDENTIALS, NAME, Engineer, server


@pytest.fixture(scope="session")
def importer(root: Path) -> Path:
    return build("importer", root / "build/cache/doubles")


def test_imports_the_ova_with_the_tier_that_it_chose(importer: Path, engineer: Engineer) -> None:
    vcenter, archive = engineer.vcenter, engineer.archive
    address = f"https://{quote(USER)}:{PASSWORD}@localhost:{vcenter.port}/sdk"
    options = ["-url", address, "-ca", vcenter.identity.authority, "-ova", archive.path, "-name", NAME]
    subprocess.run([importer, *options, "-option", "tier3"], check=True)
    assert vcenter.disks(NAME) == [b"".join(archive.blocks(disk.name)) for disk in archive.disks]
    with connected(server(vcenter), CREDENTIALS) as connection:
        machine = place.machine(connection, "DC0/vm", NAME)
        found = compare.template(connection, machine, Description.read(archive.descriptor), "tier3")
    # It makes a machine, no template; all else is what the OVF says.
    assert found == ["is a template: False instead of True"]
