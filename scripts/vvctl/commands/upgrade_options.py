"""What every `vvctl upgrade plan|run PROVIDER` takes, and how a provider's own options are added to it.

A provider's command file has one function with its own options, which returns the facts that it discovered:
`def find(server: ServerName, machine: MachineName, ...) -> dict[str, Any]`. Its docstring is the help.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from vvctl.errors import VvctlError
from vvctl.upgrade.options import Canary, Options

Facts = dict[str, Any]

Url = Annotated[str, typer.Option(envvar="VV_URL", help="Where the appliance's API answers.", show_default=False)]
Key = Annotated[str, typer.Option(envvar="VV_API_KEY", help="API key with the role operator.", show_default=False)]
CaFile = Annotated[
    Path | None,
    typer.Option(help="Authorities (PEM) that vouch for the appliance's certificate.", exists=True, dir_okay=False),
]
CanaryTexts = Annotated[
    list[str] | None,
    typer.Option(
        "--canary",
        metavar="SPEAKER=FILE",
        help="An enrolled speaker and another recording of that voice, which must verify before and after; repeatable.",
    ),
]
NoCanary = Annotated[bool, typer.Option("--no-canary", help="Do not verify a voice.")]
Drain = Annotated[float, typer.Option(min=0, metavar="SECONDS", help="How long running calls may go on.")]
ForceOff = Annotated[bool, typer.Option("--force-off", help="Then end those that still run.")]
ShutdownWithin = Annotated[
    float, typer.Option(min=1, metavar="SECONDS", help="How long the old system may take to shut down.")
]
StartWithin = Annotated[
    float, typer.Option(min=1, metavar="SECONDS", help="How long a system may take to start and migrate its data.")
]
Poll = Annotated[float, typer.Option(min=0.01, metavar="SECONDS", help="How long to wait between two looks.")]
JournalDirectory = Annotated[
    Path | None,
    typer.Option(
        "--journal",
        metavar="DIR",
        file_okay=False,
        help="Journal and backups of the upgrade; default: ~/.local/state/vvctl/upgrades/PROVIDER-MACHINE.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs: one JSON object a line.")]

_DEFAULT = Options()


class UsageError(VvctlError):
    """Options that do not go together."""

    code = "usage"
    exit_status = 2


def options(
    *,
    canary: CanaryTexts = None,
    drain: Drain = _DEFAULT.drain_s,
    force_off: ForceOff = False,
    shutdown_within: ShutdownWithin = _DEFAULT.shutdown_s,
    start_within: StartWithin = _DEFAULT.start_s,
    poll: Poll = _DEFAULT.poll_s,
) -> Options:
    """What a person chose. Raises UsageError."""
    return Options(
        drain_s=drain,
        force_off=force_off,
        canaries=[_canary(text) for text in canary or []],
        shutdown_s=shutdown_within,
        start_s=start_within,
        poll_s=poll,
    )


def combined(*parts: Callable[..., Any], into: Callable[..., None], provider: str) -> Callable[..., None]:
    """A command that takes the options of all `parts` and hands what each returns to `into`, by position.

    What `into` takes beyond that and `provider` are further options. The help is the docstring of the first part.
    """
    # The first after the parts is the provider's name.
    own = list(inspect.signature(into).parameters.values())[len(parts) + 1 :]
    parameters = [
        *(parameter for part in parts for parameter in inspect.signature(part).parameters.values()),
        *own,
    ]

    def command(**given: Any) -> None:
        made = [part(**{name: given.pop(name) for name in inspect.signature(part).parameters}) for part in parts]
        into(*made, provider, **given)

    hints = {name: hint for part in (*parts, into) for name, hint in get_type_hints(part, include_extras=True).items()}
    ordered = sorted(
        (
            parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[parameter.name])
            for parameter in parameters
        ),
        key=lambda parameter: parameter.default is not inspect.Parameter.empty,
    )
    # Typer reads both.
    command.__signature__ = inspect.Signature(ordered)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in ordered}
    command.__doc__ = parts[0].__doc__
    return command


def _canary(text: str) -> Canary:
    speaker, separator, recording = text.partition("=")
    if not speaker or not separator or not Path(recording).is_file():
        raise UsageError(f"--canary {text} names no speaker and recording", hint="--canary anna=anna-monday.wav")
    return Canary(speaker, Path(recording).resolve())
