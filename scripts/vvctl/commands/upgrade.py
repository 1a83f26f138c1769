"""`vvctl upgrade`: another system for a running appliance, with the same data disk.

Exit status: 0 it was done; 1 it failed and the old system is in charge, or nothing was changed; 2 wrong usage; 3 a
person has to look, then resume or roll back; 130 interrupted, and can be resumed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from vvctl.commands import upgrade_aws, upgrade_local, upgrade_vmware
from vvctl.commands.dialogue import confirm, event, reported, stderr
from vvctl.commands.upgrade_options import (
    AsJson,
    CaFile,
    Facts,
    JournalDirectory,
    Key,
    NoCanary,
    Url,
    UsageError,
    Yes,
    combined,
    options,
)
from vvctl.signals import interruptible
from vvctl.upgrade import checks, describe, places, providers, session
from vvctl.upgrade.display import display
from vvctl.upgrade.history import Decision, History
from vvctl.upgrade.options import Options
from vvctl.upgrade.session import Subject
from vvctl.upgrade.upgrade import Upgrade

_ORDER = ["plan", "run", "status", "resume", "rollback", "finalize"]


class _InOrder(TyperGroup):
    """Lists the commands in the order in which they are used."""

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(super().list_commands(ctx), key=_ORDER.index)


app = typer.Typer(
    cls=_InOrder, help="Upgrade a running appliance: another system, the same data disk.", no_args_is_help=True
)
_plan = typer.Typer(help="Show every step of an upgrade, and what stands in its way; changes nothing.")
_run = typer.Typer(help="Upgrade; goes back by itself when anything fails.")
app.add_typer(_plan, name="plan", no_args_is_help=True)
app.add_typer(_run, name="run", no_args_is_help=True)

# What discovers a machine of each provider, with the options of its own.
FINDERS: dict[str, Callable[..., Facts]] = {
    "aws": upgrade_aws.find,
    "local": upgrade_local.find,
    "vmware": upgrade_vmware.find,
}

AcceptDataLoss = Annotated[
    bool,
    typer.Option(
        "--accept-data-loss",
        help="Go back although the new system was in charge: what it took in since is only in a backup.",
    ),
]
Drain = Annotated[
    float | None, typer.Option(min=0, metavar="SECONDS", help="How long running calls may go on, from now.")
]
ForceOff = Annotated[bool, typer.Option("--force-off", help="Then end those that still run.")]


@dataclass(frozen=True)
class Connection:
    """Where the appliance answers, and the key that it takes."""

    url: str
    key: str
    ca_file: Path | None


def connection(*, url: Url, key: Key, ca_file: CaFile = None) -> Connection:
    """From the command line."""
    return Connection(url, key, ca_file)


def plan(  # noqa: PLR0917 - options, named on the command line
    facts: Facts,
    reached: Connection,
    chosen: Options,
    provider: str,
    journal: JournalDirectory = None,
    as_json: AsJson = False,
) -> None:
    made = providers.make(provider, facts, "", chosen.poll_s)
    appliance = Subject(provider, facts, reached.url, reached.ca_file).appliance(reached.key)
    with reported(as_json):
        found = describe.plan(made, chosen, journal or places.default(provider, facts["machine"]))
        if as_json:
            event("plan", machine=facts["machine"], data_disk=facts["data_disk"], **found)
        else:
            console = Console(highlight=False, soft_wrap=True)
            console.print(f"[bold]{facts['machine']}[/], data disk {facts['data_disk']}, to {made.target().version}")
            for line in describe.plan_lines(found):
                console.print(line)
        checks.require(checks.findings(made, appliance, chosen))
    if not as_json:
        print("Nothing stands in the way.")


def run(  # noqa: PLR0917
    facts: Facts,
    reached: Connection,
    chosen: Options,
    provider: str,
    no_canary: NoCanary = False,
    journal: JournalDirectory = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    if not chosen.canaries and not no_canary:
        raise UsageError(
            "no voice was named that must verify after the upgrade",
            hint="--canary anna=anna-monday.wav, or --no-canary to go without",
        )
    subject = Subject(provider, facts, reached.url, reached.ca_file)
    directory = journal or places.default(provider, facts["machine"])
    with reported(as_json):
        old = subject.appliance(reached.key).release().version
        new = providers.make(provider, facts, "", chosen.poll_s).target().version
        confirm(
            f"Upgrade {facts['machine']} from {old} to {new}? Its data disk {facts['data_disk']} goes to the new "
            "system, and calls are refused meanwhile.",
            yes=yes,
        )
        with (
            display(stderr(), as_json=as_json) as shown,
            session.begun(directory, subject, reached.key, chosen, shown) as upgrade,
            _interruptible(directory),
        ):
            upgrade.run()
            _tell(upgrade, as_json)


@app.command()
def status(journal: JournalDirectory = None, as_json: AsJson = False) -> None:
    """Tell how far an upgrade is; changes nothing, and may be asked while it runs."""
    directory = places.chosen(journal)
    found = describe.status(History.read(directory))
    if as_json:
        print(json.dumps(found))
        return
    console = Console(highlight=False, soft_wrap=True)
    for line in describe.status_lines(found, directory):
        console.print(line)


@app.command()
def resume(
    key: Key,
    journal: JournalDirectory = None,
    drain: Drain = None,
    force_off: ForceOff = False,
    as_json: AsJson = False,
) -> None:
    """Go on with an upgrade, or with the way back, where it stopped."""
    choose = session.chooser(drain, force_off=force_off)
    _take_up(places.chosen(journal), key, Upgrade.resume, choose, as_json=as_json)


@app.command()
def rollback(  # noqa: PLR0917
    key: Key,
    journal: JournalDirectory = None,
    accept_data_loss: AcceptDataLoss = False,
    drain: Drain = None,
    force_off: ForceOff = False,
    as_json: AsJson = False,
) -> None:
    """Return to the old system, while there is a way back."""
    directory = places.chosen(journal)
    if History.read(directory).decided(Decision.COMMIT) and not accept_data_loss:
        raise UsageError(
            "the new system was in charge: what it took in since would be lost",
            hint="--accept-data-loss keeps that in a backup beside the journal, and goes back",
        )
    choose = session.chooser(drain, force_off=force_off)
    _take_up(directory, key, partial(Upgrade.roll_back, why="a person asked for it"), choose, as_json=as_json)


@app.command()
def finalize(key: Key, journal: JournalDirectory = None, yes: Yes = False, as_json: AsJson = False) -> None:
    """Give up the way back: delete the old system and the point in time before the upgrade."""
    directory = places.chosen(journal)
    history = History.read(directory)
    confirm(f"Delete the old system of {history.facts['machine']}? Then there is no way back.", yes=yes)
    _take_up(directory, key, Upgrade.finalize, session.chooser(None, force_off=False), as_json=as_json)


def register(provider: str, find: Callable[..., Facts]) -> None:
    """Have `plan` and `run` for a provider."""
    _plan.command(provider)(combined(find, connection, options, into=plan, provider=provider))
    _run.command(provider)(combined(find, connection, options, into=run, provider=provider))


for _name, _find in FINDERS.items():
    register(_name, _find)


def _take_up(
    directory: Path, key: str, go: Callable[[Upgrade], None], choose: Callable[[Options], Options], *, as_json: bool
) -> None:
    with (
        reported(as_json),
        display(stderr(), as_json=as_json) as shown,
        session.taken_up(directory, key, choose, shown) as upgrade,
        _interruptible(directory),
    ):
        go(upgrade)
        _tell(upgrade, as_json)


def _tell(upgrade: Upgrade, as_json: bool) -> None:
    record = upgrade.context.record
    refused = record.refused_s()
    if as_json:
        event("end", phase=record.phase, refused_s=refused)
        return
    if record.decided(Decision.FINALIZE):
        print("The old system is deleted; the upgrade is final.")
    elif record.decided(Decision.ROLLBACK):
        print("The old system is in charge.")
    else:
        print(
            f"The new system is in charge; calls were refused for {refused or 0:.1f} s. "
            "`vvctl upgrade finalize` gives up the way back, `vvctl upgrade rollback` takes it."
        )


@contextmanager
def _interruptible(directory: Path) -> Iterator[None]:
    """Let Ctrl-C, a polite kill and a closed terminal stop it where it is, and say how to go on."""
    try:
        with interruptible():
            yield
    except KeyboardInterrupt:
        state = describe.status(History.read(directory))["state"]
        stderr().print(
            f"[bold]interrupted[/] in {state}; nothing is lost: `vvctl upgrade resume --journal {directory}` goes on, "
            "`vvctl upgrade rollback` goes back"
        )
        raise typer.Exit(130) from None
