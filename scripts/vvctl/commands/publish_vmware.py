"""`vvctl publish|validate|unpublish vmware`: the OVA as a template or in a content library.

The libraries of vSphere take a second to import, so the functions do it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.console import Console

from vvctl import appliance as appliances
from vvctl.commands.dialogue import confirm
from vvctl.errors import ConfigurationError, VvctlError
from vvctl.signals import interruptible

if TYPE_CHECKING:
    from vvctl.publish.vmware.connection import Connection, Credentials, Server

USER_VARIABLE, PASSWORD_VARIABLE = "VV_VSPHERE_USER", "VV_VSPHERE_PASSWORD"

ServerName = Annotated[
    str, typer.Option("--server", envvar="VV_VSPHERE_SERVER", metavar="HOST[:PORT]", help="The vCenter.")
]
CaFile = Annotated[
    Path | None, typer.Option(help="Authorities (PEM) that vouch for the vCenter.", exists=True, dir_okay=False)
]
Thumbprint = Annotated[
    str, typer.Option(metavar="SHA256", help="Trust the certificate with this thumbprint, whoever issued it.")
]
Ova = Annotated[Path | None, typer.Option(help="The OVA; default: the one in dist/ of this checkout.", dir_okay=False)]
Name = Annotated[str | None, typer.Option(help="Name of the template or item; default: that of the OVA.")]
LibraryName = Annotated[str, typer.Option("--library", help="A content library, in place of a template.")]
Datacenter = Annotated[str, typer.Option(help="Datacenter; default: the only one.")]
Folder = Annotated[str, typer.Option(help="Folder of machines below the datacenter; default: the topmost.")]
Compute = Annotated[
    str,
    typer.Option(
        help="Cluster, host, CLUSTER/HOST (without DRS) or CLUSTER/Resources/POOL; default: the only cluster or host."
    ),
]
Datastore = Annotated[str, typer.Option(help="Datastore; default: the only one.")]
Network = Annotated[str, typer.Option(help="Network of the template; default: the only one.")]
Tier = Annotated[int | None, typer.Option(help="Tier that the template has; default: that of the OVA.")]


Found = TypeVar("Found")


class Differs(VvctlError):
    """What stands in vCenter is not what the OVA says."""

    code = "vsphere_differs"


def publish(  # noqa: PLR0917 - options, named on the command line
    server: ServerName,
    ova: Ova = None,
    name: Name = None,
    library: LibraryName = "",
    datacenter: Datacenter = "",
    folder: Folder = "",
    compute: Compute = "",
    datastore: Datastore = "",
    network: Network = "",
    tier: Tier = None,
    thick: Annotated[bool, typer.Option("--thick", help="Reserve the whole disks on the datastore.")] = False,
    ca_file: CaFile = None,
    thumbprint: Thumbprint = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, make nothing.")] = False,
) -> None:
    """Import the OVA as a template, or into a content library; a failure leaves nothing behind.

    User and password come from VV_VSPHERE_USER and VV_VSPHERE_PASSWORD, or are asked for.
    """
    from vvctl.publish.display import Display  # noqa: PLC0415
    from vvctl.publish.vmware.archive import Archive  # noqa: PLC0415
    from vvctl.publish.vmware.description import Description  # noqa: PLC0415
    from vvctl.publish.vmware.library import LibraryPublisher  # noqa: PLC0415
    from vvctl.publish.vmware.place import Where, resolve  # noqa: PLC0415
    from vvctl.publish.vmware.template import Order, Publisher  # noqa: PLC0415

    display = Display(Console(stderr=True, highlight=False))
    path = ova or default_ova()
    name = name or path.stem
    with display.waiting(f"Checking {path.name}"):
        archive = Archive.load(path)
    option = Description.read(archive.descriptor).option(tier)
    with interruptible(), _connected(server, ca_file, thumbprint) as connection:
        publisher: LibraryPublisher | Publisher
        if library:
            publisher = LibraryPublisher(connection, archive, library, name)
        else:
            place = resolve(connection, Where(datacenter, folder, compute, datastore, network))
            publisher = Publisher(connection, archive, place, Order(name, option, thick))
        if dry_run:
            print(f"{name} can be published: {publisher.check()}; nothing was made")
            return
        identity = publisher.publish(display)
    print(f"{name} is {identity} in {server}")


def validate(  # noqa: PLR0917
    server: ServerName,
    ova: Ova = None,
    name: Name = None,
    library: LibraryName = "",
    datacenter: Datacenter = "",
    folder: Folder = "",
    tier: Tier = None,
    ca_file: CaFile = None,
    thumbprint: Thumbprint = "",
) -> None:
    """Compare the template's hardware, disks and properties, or the item's files, with the OVA."""
    from vvctl.publish.vmware import compare, place  # noqa: PLC0415
    from vvctl.publish.vmware.archive import Archive  # noqa: PLC0415
    from vvctl.publish.vmware.description import Description  # noqa: PLC0415
    from vvctl.publish.vmware.errors import explained  # noqa: PLC0415
    from vvctl.publish.vmware.library import find_item, find_library  # noqa: PLC0415
    from vvctl.publish.vmware.rest import session  # noqa: PLC0415

    path = ova or default_ova()
    name = name or path.stem
    archive = Archive.load(path)
    description = Description.read(archive.descriptor)
    option = description.option(tier)
    with _connected(server, ca_file, thumbprint) as connection, explained("reading what was published"):
        if library:
            with session(connection) as rest:
                item = _required(find_item(rest, find_library(rest, library), name), f"{name} in {library}")
                lines = compare.library_item(rest, item, archive)
        else:
            _, _, parent = place.folder(connection, place.Where(datacenter, folder))
            machine = _required(place.machine(connection, parent, name), f"{name} in {parent}")
            lines = compare.template(connection, machine, description, option)
    if lines:
        raise Differs(f"{name} is not what {path.name} says:" + "".join(f"\n  {line}" for line in lines))
    print(f"{name} is what {path.name} says")


def unpublish(  # noqa: PLR0917
    server: ServerName,
    ova: Ova = None,
    name: Name = None,
    library: LibraryName = "",
    datacenter: Datacenter = "",
    folder: Folder = "",
    ca_file: CaFile = None,
    thumbprint: Thumbprint = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove the template or item that publish made; refuses everything else, copies of it too."""
    from vvctl.publish.vmware import place, removal  # noqa: PLC0415
    from vvctl.publish.vmware.errors import explained  # noqa: PLC0415
    from vvctl.publish.vmware.library import find_item, find_library  # noqa: PLC0415
    from vvctl.publish.vmware.rest import session  # noqa: PLC0415

    name = name or (ova or default_ova()).stem
    with _connected(server, ca_file, thumbprint) as connection, explained("looking for what was published"):
        if library:
            with session(connection) as rest:
                item = _required(find_item(rest, find_library(rest, library), name), f"{name} in {library}")
                removal.check_item(item)
                confirm(f"Remove the item {name} with its files from the library {library} for good?", yes=yes)
                removal.remove_library_item(rest, item)
        else:
            _, _, parent = place.folder(connection, place.Where(datacenter, folder))
            machine = _required(place.machine(connection, parent, name), f"{name} in {parent}")
            removal.check_template(connection, machine, name)
            confirm(f"Remove the template {name} with its disks from {parent} for good?", yes=yes)
            removal.remove_template(connection, machine, name)
    print(f"removed {name} from {server}")


def default_ova() -> Path:
    from vvctl.image.package import Names  # noqa: PLC0415

    root = appliances.find_root()
    return root / "dist" / Names.of(appliances.load(root / "appliance.yml")).ova


@contextmanager
def _connected(server: str, ca_file: Path | None, thumbprint: str) -> Iterator[Connection]:
    from vvctl.publish.vmware.connection import connected  # noqa: PLC0415

    with connected(parse_server(server, ca_file, thumbprint), _credentials()) as connection:
        yield connection


def parse_server(text: str, ca_file: Path | None, thumbprint: str) -> Server:
    from vvctl.publish.vmware.connection import Server  # noqa: PLC0415

    host, _, port = text.partition(":")
    if not host or (port and not port.isdigit()):
        raise ConfigurationError(f"--server {text!r} is no host and port", hint="--server vcenter.example.org")
    return Server(host, int(port or 443), ca_file, thumbprint)


def _credentials() -> Credentials:
    """From the environment, else from the terminal; never from the command line, which everybody can read."""
    from vvctl.publish.vmware.connection import Credentials  # noqa: PLC0415

    user = os.environ.get(USER_VARIABLE) or typer.prompt("vCenter user", err=True)
    password = os.environ.get(PASSWORD_VARIABLE) or typer.prompt(f"Password of {user}", hide_input=True, err=True)
    return Credentials(user, password)


def _required(found: Found | None, what: str) -> Found:
    from vvctl.publish.vmware.errors import NotThere  # noqa: PLC0415

    if found is None:
        raise NotThere(f"there is no {what}")
    return found
