"""`vvctl licence`: issue licences and check them."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from vvctl import appliance

if TYPE_CHECKING:
    from voice_verify.licence import SignedLicence

app = typer.Typer(help="Issue licences and check them.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(help="The licence.", show_default=False)]


@app.command()
def keygen(
    output: Annotated[Path, typer.Option(help="File for the private key.")],
) -> None:
    """Make the key pair that signs licences; prints the public key, for licence.issuers in appliance.yml."""
    from vvctl.licence import keys  # noqa: PLC0415

    print(keys.generate(output))
    Console(stderr=True, highlight=False, soft_wrap=True).print(
        f"{output} holds the private key: keep it offline, and a copy of it. The line above is the public key; it goes "
        "into licence.issuers in appliance.yml, and every image built from then on takes its licences."
    )


@app.command()
def issue(  # noqa: PLR0917 - options, named on the command line
    key: Annotated[Path, typer.Option(help="The private key that vvctl licence keygen made.")],
    customer: Annotated[str, typer.Option(help="Whom it is for.")],
    calls: Annotated[int, typer.Option(min=1, help="Calls at once.")],
    expires: Annotated[
        datetime, typer.Option(formats=["%Y-%m-%d"], metavar="DATE", help="The last day on which it holds (UTC).")
    ],
    output: Annotated[Path, typer.Option(help="File for the licence.")],
    feature: Annotated[
        list[str] | None,
        typer.Option(help="A way on which calls may come in; may be given several times.", show_default="all of them"),
    ] = None,
) -> None:
    """Make a licence that holds from today on."""
    from vvctl.licence import files, keys  # noqa: PLC0415

    signed = files.issue(
        keys.load(key),
        _declared(),
        customer=customer,
        calls=calls,
        features=feature or [],
        expires=expires.date(),
    )
    files.write(output, signed)
    _show(signed)


@app.command()
def verify(file: File) -> None:
    """Say whether an appliance built from this checkout takes the licence today; the exit status is 1 when not."""
    from vvctl.licence import files  # noqa: PLC0415

    signed = files.check(file, _declared())
    print(f"{file}: taken, for {signed.licence.customer} until {signed.licence.expires}")


@app.command()
def show(
    file: File,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Print what a licence says; `verify` tells whether it is to be believed."""
    from vvctl.licence import files  # noqa: PLC0415

    signed = files.read(file)
    if as_json:
        print(json.dumps(signed.model_dump(mode="json"), indent=2, ensure_ascii=False))
    else:
        _show(signed)


def _declared() -> appliance.Licence:
    return appliance.load(appliance.find_root() / "appliance.yml").licence


def _show(signed: SignedLicence) -> None:
    licence = signed.licence
    table = Table(show_header=False, box=None)
    for name, value in (
        ("Customer", licence.customer),
        ("Calls at once", str(licence.calls)),
        ("Features", ", ".join(licence.features)),
        ("Issued", str(licence.issued)),
        ("Expires", str(licence.expires)),
        ("Number", licence.id),
        ("Issuer", signed.issuer),
    ):
        table.add_row(name, value)
    Console(highlight=False, soft_wrap=True, markup=False).print(table)
