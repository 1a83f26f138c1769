"""`vvctl image`: build the appliance image."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from vvctl.appliance import find_root

app = typer.Typer(help="Build the appliance image.", no_args_is_help=True)


@app.command()
def build(
    mirror: Annotated[
        str | None,
        typer.Option(
            help="Address below which debian/ and debian-security/ lie; default: VV_APT_MIRROR, "
            "else the archive that apt on this machine uses."
        ),
    ] = None,
) -> None:
    """Make dist/: OVA, raw disks, bills of materials, checksums. Ends at once when nothing changed."""
    from vvctl.image.build import build as build_image  # noqa: PLC0415 (the build's libraries are not always installed)

    build_image(find_root(), Console(highlight=False), mirror)


@app.command("system-disk")
def system_disk(
    output: Annotated[Path, typer.Option(help="The raw disk to write.", dir_okay=False)],
    seed: Annotated[str, typer.Option(help="Any text; another text gives the disk another identity.")],
) -> None:
    """Make one more system disk from the root file system that the last build provisioned."""
    from vvctl.image.build import make_system_disk  # noqa: PLC0415

    make_system_disk(find_root(), output, seed)
    Console(highlight=False).print(f"wrote {output}")


@app.command()
def clean() -> None:
    """Remove dist/ and everything that image builds keep in build/."""
    from vvctl.image.build import clean as clean_image  # noqa: PLC0415

    clean_image(find_root())
