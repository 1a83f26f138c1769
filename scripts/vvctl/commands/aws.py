"""`vvctl aws`: how the published image is launched."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vvctl.appliance import find_root, load

app = typer.Typer(help="Launch the published image on AWS.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Launch the published image on AWS."""


@app.command()
def template(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; default: print.", dir_okay=False)
    ] = None,
) -> None:
    """Write the CloudFormation template: machine by tier, both disks, security group, service interface, elastic IP."""
    from vvctl.aws_template import render  # noqa: PLC0415 (other commands need not wait for its libraries)

    text = render(load(find_root() / "appliance.yml"))
    if output is None:
        print(text, end="")
    else:
        output.write_text(text, encoding="utf-8")
        print(f"wrote {output}")
