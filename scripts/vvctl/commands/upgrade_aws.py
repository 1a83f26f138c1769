"""`vvctl upgrade plan|run aws`: which instance, and which image.

The libraries of AWS take half a second to import, so the function does it.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

Machine = Annotated[str, typer.Option(metavar="ID|NAME", help="The instance: its id, or its Name tag.")]
Image = Annotated[
    str | None, typer.Option(metavar="AMI", help="Default: the newest that `vvctl publish aws` made in this account.")
]
Region = Annotated[str | None, typer.Option(help="Where the machine is; default: as boto3 is configured.")]


def find(machine: Machine, image: Image = None, region: Region = None) -> dict[str, Any]:
    """An EC2 instance: it stays, with its id and addresses; its root volume is exchanged."""
    from vvctl.upgrade.aws.discovery import discover  # noqa: PLC0415

    return discover(machine, image, region)
