"""`vvctl profile`: Audio Source Profiles fitted on, and measured with, a customer's recordings."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress, track
from rich.table import Table

from vvctl import appliance
from vvctl._generated import API_PORT
from vvctl.errors import ConfigurationError, VvctlError

if TYPE_CHECKING:
    from vvctl.profile.embeddings import Listener, Take
    from vvctl.profile.thresholds import Chosen

app = typer.Typer(help="Calibrate the decisions on your own recordings.", no_args_is_help=True)

Data = Annotated[Path | None, typer.Option(help="Folder of speaker/recording.wav or speaker/session/recording.wav.")]
Csv = Annotated[Path | None, typer.Option(help="Or a table with the columns speaker, file and, where known, session.")]
Cache = Annotated[Path | None, typer.Option(help="Folder for embeddings that a second run takes up.")]
ModelDir = Annotated[
    Path | None, typer.Option(envvar="VV_MODEL_DIR", help="The built model.", show_default="build/model")
]
CostFalseAccept = Annotated[float, typer.Option(min=0.001, help="What verifying an impostor costs.")]
CostFalseReject = Annotated[float, typer.Option(min=0.001, help="What turning a genuine caller down costs.")]
Prior = Annotated[float, typer.Option(min=0.0001, max=0.9999, help="Share of callers who are genuine.")]
Url = Annotated[str, typer.Option(envvar="VV_URL", help="Where the service answers.")]
Key = Annotated[str, typer.Option(envvar="VV_API_KEY", help="API key with the role operator.", show_default=False)]

URL = f"http://127.0.0.1:{API_PORT}"


class UsageError(VvctlError):
    """Options that do not go together."""

    code = "usage"
    exit_status = 2


@app.command()
def fit(  # noqa: PLR0917 - options, named on the command line
    context: typer.Context,
    name: Annotated[str, typer.Option(help="Name of the new profile: lower case, digits, hyphens.")],
    output: Annotated[Path, typer.Option(help="Folder for the profile and its report.")],
    data: Data = None,
    csv: Csv = None,
    base: Annotated[str, typer.Option(help="Profile to start from, a name or a file.")] = "mixed",
    version: Annotated[int, typer.Option(min=1, help="Of the profile; higher than one of the same name before.")] = 1,
    max_far: Annotated[
        str | None, typer.Option(help="Share of impostors that may be verified, such as 0.1%.", show_default=False)
    ] = None,
    max_frr: Annotated[
        str | None, typer.Option(help="Share of speakers that may be turned down, such as 1%.", show_default=False)
    ] = None,
    cost_false_accept: Annotated[
        float | None, typer.Option(min=0.001, help="What verifying an impostor costs.")
    ] = None,
    cost_false_reject: CostFalseReject = 1.0,
    cost_not_sure: Annotated[float, typer.Option(min=0.0001, help="What a `not sure` costs.")] = 0.1,
    prior: Prior = 0.9,
    cache: Cache = None,
    model_dir: ModelDir = None,
) -> None:
    """Fit a profile on your recordings; the thresholds follow from error rates, from costs, or are 99 to 1."""
    from vvctl.profile import checks, crossvalidation, document, report, terminal, thresholds  # noqa: PLC0415
    from vvctl.profile import fit as fitting  # noqa: PLC0415
    from vvctl.profile.measure import Judged, Working  # noqa: PLC0415

    far, frr = _rate(max_far, "--max-far"), _rate(max_frr, "--max-frr")
    if cost_false_accept is not None and (far is not None or frr is not None):
        raise UsageError("error rates and costs were given", hint="name one or the other")

    def choose(judged: Judged) -> Chosen:
        if cost_false_accept is not None:
            return thresholds.from_costs(cost_false_accept, cost_false_reject, cost_not_sure, prior)
        if far is not None or frr is not None:
            return thresholds.from_rates(judged, max_far=far, max_frr=frr)
        return thresholds.default()

    target, page = output / f"{name}.json", output / f"{name}.html"
    document.refuse_to_overwrite([target, page])
    start = document.load(base)
    takes, unusable = _listen(_listener(context, model_dir, cache), data, csv)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Fitting", total=crossvalidation.ROUNDS)
        found = fitting.fit(
            takes, start, name=name, version=version, choose=choose, progress=lambda: progress.advance(task)
        )
    working = Working(prior, cost_false_accept or Working.cost_false_accept, cost_false_reject)
    section = report.Section.of("Accuracy on speakers that the fit had not seen", found.judged, found.profile, working)
    doubts = [
        *found.chosen.warnings,
        *unusable,
        *checks.few_sessions(found.judged.trials),
        *checks.doubts(takes, start, found.profile.limits),
    ]
    document.write(target, found.profile, takes)
    report.write(
        page,
        found.profile,
        [section],
        title="Calibration report",
        held_out=True,
        doubts=doubts,
        working=working,
    )
    terminal.show([section], doubts)
    print(f"{target} is the profile, {page} says what it is worth")


@app.command()
def evaluate(  # noqa: PLR0917 - options, named on the command line
    context: typer.Context,
    profile: Annotated[str, typer.Argument(help="A profile's file, or the name of a packaged one.")],
    data: Data = None,
    csv: Csv = None,
    html: Annotated[Path | None, typer.Option(help="Write a report with plots there.", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print figures for programs.")] = False,
    fp32: Annotated[bool, typer.Option(help="Beside what the service computes in, the same in fp32.")] = False,
    cost_false_accept: CostFalseAccept = 100.0,
    cost_false_reject: CostFalseReject = 1.0,
    prior: Prior = 0.9,
    cache: Cache = None,
    model_dir: ModelDir = None,
) -> None:
    """Measure a profile on other recordings than it was fitted on; minDCF is of the costs and the prior named."""
    from vvctl.profile import checks, document, report, terminal  # noqa: PLC0415
    from vvctl.profile import evaluate as evaluation  # noqa: PLC0415
    from vvctl.profile.measure import Working  # noqa: PLC0415

    measured = document.load(profile)
    working = Working(prior, cost_false_accept, cost_false_reject)
    sections, doubts = [], []
    for only_fp32 in [False, True] if fp32 else [False]:
        listener = _listener(context, model_dir, cache, fp32=only_fp32)
        if listener.model_identity != measured.model_identity:
            raise UsageError(f"{profile} was made for another model", hint="fit it anew: vvctl profile fit")
        takes, unusable = _listen(listener, data, csv)
        heading = f"Accuracy in {listener.precision}"
        sections.append(report.Section.of(heading, evaluation.judge(takes, measured), measured, working))
        if not only_fp32:
            shared = document.shared_recordings(profile, measured, takes)
            if shared:
                doubts.append(f"{shared} of these files are of the profile's own fit: the figures are too good")
            doubts += [
                *unusable,
                *checks.few_sessions(sections[0].judged.trials),
                *checks.doubts(takes, measured, measured.limits),
            ]
    if html:
        report.write(
            html, measured, sections, title="Evaluation report", held_out=False, doubts=doubts, working=working
        )
    if as_json:
        found = [
            {"precision": part.heading.split()[-1], "rows": [asdict(row) for row in part.rows]} for part in sections
        ]
        print(
            json.dumps({"profile": str(measured.uuid), "working": asdict(working), "accuracy": found, "doubts": doubts})
        )
    else:
        terminal.show(sections, doubts)
        if html:
            print(f"{html} has the plots")


@app.command()
def upload(profile: Annotated[Path, typer.Argument(help="The profile's file.")], url: Url = URL, key: Key = "") -> None:
    """Add a profile to a running service; it decides nothing before it is activated."""
    from vvctl.profile.client import ProfileClient  # noqa: PLC0415

    added = ProfileClient(url, key).upload(profile)
    print(
        f"{added['name']} version {added['version']} is there; vvctl profile activate {added['uuid']} puts it in force"
    )


@app.command()
def activate(
    profile: Annotated[str, typer.Argument(metavar="UUID|NAME", help="Of a profile that the service has.")],
    url: Url = URL,
    key: Key = "",
) -> None:
    """Let a profile decide from now on, also on calls that run."""
    from vvctl.profile.client import ProfileClient  # noqa: PLC0415

    active = ProfileClient(url, key).activate(profile)
    print(f"{active['name']} version {active['version']} ({active['uuid']}) decides now")


@app.command("list")
def list_profiles(url: Url = URL, key: Key = "") -> None:
    """The profiles of a running service; the one in force is marked."""
    from vvctl.profile.client import ProfileClient  # noqa: PLC0415

    table = Table("", "Name", "Version", "UUID", "Origin", "Description", box=None)
    for profile in ProfileClient(url, key).all():
        mark = "*" if profile["active"] else ""
        version, origin = str(profile["version"]), profile["origin"]
        table.add_row(mark, profile["name"], version, profile["uuid"], origin, profile["description"])
    Console(soft_wrap=True).print(table)


def _listener(context: typer.Context, model_dir: Path | None, cache: Path | None, *, fp32: bool = False) -> Listener:
    from vvctl.profile.embeddings import Listener  # noqa: PLC0415

    if model_dir is None:
        try:
            model_dir = appliance.find_root() / "build" / "model"
        except ConfigurationError as error:
            raise UsageError("no model was named", hint="give --model-dir or VV_MODEL_DIR") from error
    if cache is None:
        # Biometric data stays only where somebody asked for it.
        cache = Path(context.with_resource(TemporaryDirectory(prefix="vv-embeddings-")))
    return Listener(model_dir, cache, fp32=fp32)


def _listen(listener: Listener, data: Path | None, csv: Path | None) -> tuple[list[Take], list[str]]:
    """All takes, and why sessions could not be used."""
    from vvctl.profile import dataset  # noqa: PLC0415
    from vvctl.profile.embeddings import Take  # noqa: PLC0415

    if (data is None) == (csv is None):
        raise UsageError("recordings are needed, in one way", hint=f"give --data or --csv: {dataset.LAYOUT}")
    sessions = dataset.read_folder(data) if data else dataset.read_table(csv or Path())
    results = list(
        track(listener.listen(sessions), "Listening", total=len(sessions), console=Console(stderr=True), transient=True)
    )
    takes = [result for result in results if isinstance(result, Take)]
    unusable = [
        f"Left out: {result.session.speaker}/{result.session.name}: {result.why}"
        for result in results
        if not isinstance(result, Take)
    ]
    return takes, unusable


def _rate(text: str | None, option: str) -> float | None:
    """`0.1%` or `0.001` as a share."""
    if text is None:
        return None
    try:
        share = float(text.rstrip("% ")) / (100 if "%" in text else 1)
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        raise UsageError(f"{option} {text} is not a rate", hint="name one between 0 and 100%, such as 0.1%")
    return share
