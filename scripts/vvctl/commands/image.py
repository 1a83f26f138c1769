"""`vvctl image`: build the appliance image."""

from __future__ import annotations

import os
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
    eula: Annotated[
        Path | None,
        typer.Option(help="Text of the licence agreement that the import shows; default: LICENSE.", dir_okay=False),
    ] = None,
    licence: Annotated[
        Path | None,
        typer.Option(help="Licence to package (vvctl licence issue); default: none, an evaluation.", dir_okay=False),
    ] = None,
) -> None:
    """Make dist/: OVA, raw disks, bills of materials, checksums. Ends at once when nothing changed."""
    from vvctl.image.build import build as build_image  # noqa: PLC0415 (the build's libraries are not always installed)

    build_image(find_root(), Console(highlight=False), mirror, eula, licence)


@app.command()
def reproduce(
    mirror: Annotated[str | None, typer.Option(help="As for build.")] = None,
) -> None:
    """Build the committed image twice from nothing and compare; says which files differ when they do."""
    from vvctl.image.reproduce import verify  # noqa: PLC0415

    verify(find_root(), Console(highlight=False), mirror)


@app.command()
def base(
    mirror: Annotated[str | None, typer.Option(help="As for build.")] = None,
) -> None:
    """Make build/base, which Packer's sources for machines (packer/machine) start from; see docs/build.md."""
    from vvctl.image.base import make_base  # noqa: PLC0415

    print(f"wrote {make_base(find_root(), Console(highlight=False), mirror)}")


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
def sign(
    ova: Annotated[Path, typer.Argument(help="The OVA to sign.", dir_okay=False)],
    key: Annotated[Path, typer.Option(help="Private RSA key (PEM).", dir_okay=False)],
    certificate: Annotated[Path, typer.Option(help="Its X.509 certificate (PEM), then its chain.", dir_okay=False)],
    output: Annotated[
        Path | None, typer.Option(help="Where the signed OVA goes; default: beside it, as <name>-signed.ova.")
    ] = None,
) -> None:
    """Sign the manifest of an OVA, so that the import shows who published it.

    The passphrase of an encrypted key comes from VV_SIGNING_PASSPHRASE.
    """
    from vvctl.image.sign import PASSPHRASE_VARIABLE, Signer, sign_archive  # noqa: PLC0415

    passphrase = os.environ.get(PASSPHRASE_VARIABLE)
    target = output or ova.with_name(f"{ova.stem}-signed.ova")
    sign_archive(ova, target, Signer.load(key, certificate, passphrase.encode() if passphrase else None))
    Console(highlight=False).print(f"wrote {target}")


@app.command()
def clean() -> None:
    """Remove dist/ and everything that image builds keep in build/."""
    from vvctl.image.build import clean as clean_image  # noqa: PLC0415

    clean_image(find_root())
