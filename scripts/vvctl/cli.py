"""Entry point of `vvctl`: groups the commands and turns errors into `error:` and `hint:` lines."""

from __future__ import annotations

import sys

import typer
from rich.console import Console

from vvctl import __version__
from vvctl.commands import (
    aws,
    backup,
    config,
    demo,
    image,
    licence,
    local,
    machine,
    maintenance,
    model,
    profile,
    publish,
    size,
    upgrade,
)
from vvctl.errors import VvctlError

app = typer.Typer(
    help="Build, try and operate the Voice Verify appliance.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(config.app, name="config")
app.add_typer(model.app, name="model")
app.add_typer(image.app, name="image")
app.add_typer(profile.app, name="profile")
app.add_typer(licence.app, name="licence")
app.add_typer(publish.publish, name="publish")
app.add_typer(publish.validate, name="validate")
app.add_typer(publish.unpublish, name="unpublish")
app.add_typer(aws.app, name="aws")
app.add_typer(local.app, name="local")
app.add_typer(backup.app, name="backup")
app.add_typer(maintenance.app, name="maintenance")
app.add_typer(upgrade.app, name="upgrade")
app.command("boot")(machine.boot)
app.command("demo")(demo.demo)
app.command("size")(size.size)


@app.command()
def version() -> None:
    """Print the version of vvctl."""
    print(__version__)


def main() -> None:
    """Run vvctl; the exit status is 0, 1 for a failure, 2 for wrong usage, 130 when interrupted."""
    stderr = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        app()
    except VvctlError as error:
        stderr.print(f"[bold red]error:[/] {error.message}")
        if error.hint:
            stderr.print(f"[bold]hint:[/] {error.hint}")
        sys.exit(error.exit_status)
