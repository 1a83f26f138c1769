"""`vvctl maintenance`: an appliance that takes no calls, and one that takes them again."""

from __future__ import annotations

import typer

from vvctl.backup.quiet import Patience, enter
from vvctl.commands.dialogue import event, reported, stderr
from vvctl.commands.upgrade_options import AsJson, CaFile, Drain, ForceOff, Key, Url
from vvctl.upgrade.appliance import Appliance

app = typer.Typer(help="Have an appliance refuse calls, and take them again.", no_args_is_help=True)


@app.command()
def on(  # noqa: PLR0917 - options, named on the command line
    url: Url,
    key: Key,
    ca_file: CaFile = None,
    drain: Drain = Patience.drain_s,
    force_off: ForceOff = False,
    as_json: AsJson = False,
) -> None:
    """Refuse new calls, and wait for the running ones; it stays so until `off`."""
    with reported(as_json):
        appliance = Appliance(url, key, ca_file=ca_file)
        before = appliance.in_maintenance
        console = stderr()
        with console.status("calls end") as shown:
            enter(appliance, Patience(drain, force_off), shown.update)
    _tell(mode=True, changed=not before, as_json=as_json)


@app.command()
def off(url: Url, key: Key, ca_file: CaFile = None, as_json: AsJson = False) -> None:
    """Take calls again."""
    with reported(as_json):
        appliance = Appliance(url, key, ca_file=ca_file)
        before = appliance.in_maintenance
        appliance.leave_maintenance()
    _tell(mode=False, changed=before, as_json=as_json)


def _tell(*, mode: bool, changed: bool, as_json: bool) -> None:
    if as_json:
        event("maintenance", mode=mode, changed=changed)
    else:
        print("It refuses calls, and none runs." if mode else "It takes calls.")
