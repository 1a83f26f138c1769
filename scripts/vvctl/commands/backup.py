"""`vvctl backup`: what an appliance knows, in a file, and back into an appliance."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from vvctl.backup.file import BackupFile, Contents
from vvctl.backup.make import make as make_backup
from vvctl.backup.quiet import Patience, quiet
from vvctl.commands.dialogue import confirm, event, reported, stderr
from vvctl.commands.upgrade_options import AsJson, CaFile, Drain, ForceOff, Key, Url, Yes
from vvctl.signals import interruptible
from vvctl.upgrade.appliance import Appliance

app = typer.Typer(help="Back up an appliance, look at a backup, restore it.", no_args_is_help=True)

Recipient = Annotated[
    str, typer.Option(metavar="age1...", help="Public key of age to encrypt to; without one, voiceprints are in clear.")
]
Identity = Annotated[
    Path | None,
    typer.Option(help="Private key of age (a file of age-keygen), for an encrypted backup.", dir_okay=False),
]
File = Annotated[Path, typer.Argument(metavar="FILE", dir_okay=False)]

# As inventories and backups name them, and a person.
_KINDS = {
    "speakers": "speakers",
    "profiles": "Audio Source Profiles",
    "pbx_instances": "PBX instances",
}


@app.command()
def make(  # noqa: PLR0917 - options, named on the command line
    file: File,
    url: Url,
    key: Key,
    ca_file: CaFile = None,
    recipient: Recipient = "",
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Write a backup of this moment to a new file; calls go on meanwhile."""
    with reported(as_json):
        if not recipient:
            confirm(f"Without --recipient whoever reads {file} has everybody's voiceprint. Go on?", yes=yes)
        with interruptible(), _progress() as progress:
            task = progress.add_task("the appliance makes the backup", total=None)

            def follow(done: int, total: int) -> None:
                progress.update(task, description=str(file), completed=done, total=total or None)

            digest = make_backup(Appliance(url, key, ca_file=ca_file), file, recipient, follow)
    size = file.stat().st_size
    if as_json:
        event("made", file=str(file), bytes=size, sha256=digest, encrypted=bool(recipient))
    else:
        print(f"{file}: {size / 1e6:.1f} MB, SHA-256 {digest}")


@app.command()
def verify(file: File, identity: Identity = None, as_json: AsJson = False) -> None:
    """Read a backup from its beginning to its end, and tell what is in it."""
    with reported(as_json):
        contents = BackupFile(file, identity).verify()
    if as_json:
        event("verified", file=str(file), **_document(contents))
        return
    print(f"{file}: whole, made {contents.created:%Y-%m-%d %H:%M} UTC by version {contents.version}")
    print(f"{_counted(contents.records)}; {'encrypted' if contents.encrypted else 'in clear'}")
    print(f"SHA-256 {contents.sha256}")


@app.command()
def restore(  # noqa: PLR0917
    file: File,
    url: Url,
    key: Key,
    ca_file: CaFile = None,
    identity: Identity = None,
    drain: Drain = Patience.drain_s,
    force_off: ForceOff = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Replace what an appliance holds by a backup: all of it, or nothing when anything is wrong."""
    with reported(as_json):
        backup = BackupFile(file, identity)
        contents = backup.verify()
        appliance = Appliance(url, key, ca_file=ca_file)
        now = appliance.inventory()
        held = {kind: total["count"] for kind, total in now["records"].items()}
        confirm(
            f"Replace what {appliance.url} (version {now['version']}) holds now ({_counted(held)}) by the backup of "
            f"{contents.created:%Y-%m-%d %H:%M} UTC ({_counted(contents.records)})? Calls are refused meanwhile.",
            yes=yes,
        )
        with _progress() as progress:
            task = progress.add_task("calls end", total=None)

            def say(text: str) -> None:
                progress.update(task, description=text)

            with interruptible(), quiet(appliance, Patience(drain, force_off), say):
                progress.update(task, description="the appliance restores")
                done = appliance.restore(backup.blocks())
    if as_json:
        event("restored", file=str(file), **_document(contents), **done)
        return
    print(f"{done['restored']} speakers are back; {done['deleted_since']} were deleted since and stay so.")
    if contents.records.get("pbx_instances"):
        print("A backup holds no passwords: PBX instances that this appliance did not know need theirs again.")


def _document(contents: Contents) -> dict[str, object]:
    return {**vars(contents), "created": contents.created.isoformat()}


def _counted(records: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {records[kind]}" for kind, name in _KINDS.items() if records.get(kind)) or "nothing"


def _progress() -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeElapsedColumn(),
        console=stderr(),
        transient=True,
    )
