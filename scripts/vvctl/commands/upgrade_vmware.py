"""`vvctl upgrade plan|run vmware`: which vCenter, which machine, which OVA.

The libraries of vSphere take a second to import, so the function does it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from vvctl.commands.publish_vmware import Datacenter, Ova, ServerName, Thumbprint, default_ova, parse_server

Machine = Annotated[str, typer.Option(metavar="NAME", help="The virtual machine, as vCenter shows it.")]
Folder = Annotated[str, typer.Option(help="Its folder below the datacenter; default: wherever it is.")]
VcenterCaFile = Annotated[
    Path | None, typer.Option(help="Authorities (PEM) that vouch for the vCenter.", exists=True, dir_okay=False)
]


def find(  # noqa: PLR0917 - options, named on the command line
    server: ServerName,
    machine: Machine,
    ova: Ova = None,
    datacenter: Datacenter = "",
    folder: Folder = "",
    vcenter_ca_file: VcenterCaFile = None,
    thumbprint: Thumbprint = "",
) -> dict[str, Any]:
    """A virtual machine in a vCenter: another one takes its place, with its data disk, MAC address and settings.

    User and password come from VV_VSPHERE_USER and VV_VSPHERE_PASSWORD.
    """
    from vvctl.publish.vmware.place import Where  # noqa: PLC0415
    from vvctl.upgrade.vmware.discovery import discover  # noqa: PLC0415

    where = Where(datacenter, folder)
    return discover(parse_server(server, vcenter_ca_file, thumbprint), machine, where, ova or default_ova())
