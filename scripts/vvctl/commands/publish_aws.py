"""`vvctl publish|validate|unpublish aws`: the image as an AMI.

The libraries of AWS take half a second to import, so the functions do it.
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from vvctl import appliance as appliances
from vvctl.appliance import Appliance
from vvctl.commands.dialogue import confirm
from vvctl.errors import VvctlError

if TYPE_CHECKING:
    from vvctl.publish.aws.cloud import Cloud
    from vvctl.publish.aws.plan import Plan
    from vvctl.publish.aws.release import Release, Survey
    from vvctl.publish.aws.removal import Made

Region = Annotated[str | None, typer.Option(help="Where the image is made; default: as boto3 is configured.")]
Name = Annotated[str | None, typer.Option(help="Name of the image; default: product and build.")]
Dist = Annotated[Path | None, typer.Option(help="Folder of the built image; default: dist/ of this checkout.")]
Journals = Annotated[
    Path | None, typer.Option("--journal", help="Folder that remembers what was sent; default: build/publish.")
]
Encrypt = Annotated[bool, typer.Option("--encrypt", help="Encrypt the snapshots, with the region's default key.")]
KmsKey = Annotated[str | None, typer.Option(metavar="ARN", help="Encrypt the snapshots with this KMS key.")]
CopyTo = Annotated[
    list[str] | None,
    typer.Option(metavar="REGION[=ARN]", help="Copy the image there, encrypted with that region's key; repeatable."),
]
Share = Annotated[
    list[str] | None, typer.Option(metavar="ACCOUNT", help="Let this account launch the image; repeatable.")
]
Tag = Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="One more tag; repeatable.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result for programs.")]


class Differs(VvctlError):
    """What stands in AWS is not what was asked for."""

    code = "aws_differs"


def publish(  # noqa: PLR0917 - options, named on the command line
    region: Region = None,
    name: Name = None,
    dist: Dist = None,
    journals: Journals = None,
    encrypt: Encrypt = False,
    kms_key: KmsKey = None,
    copy_to: CopyTo = None,
    share: Share = None,
    tag: Tag = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything and say what would be sent.")] = False,
    as_json: AsJson = False,
) -> None:
    """Upload both disks as EBS snapshots and register the image; goes on where an earlier run stopped."""
    from vvctl.publish.aws.publication import Publisher  # noqa: PLC0415
    from vvctl.publish.display import Display  # noqa: PLC0415

    appliance = _appliance()
    release, cloud = _release(dist, appliance), _cloud(region)
    accounts = tuple(share or [])
    plan = _plan(cloud, release, name, encrypt=encrypt, kms_key=kms_key, copy_to=copy_to, accounts=accounts, tag=tag)
    display = Display(Console(stderr=True, highlight=False))
    publisher = Publisher(cloud, appliance, release, plan, display)
    if dry_run:
        publisher.check()
        _print_plan(plan, publisher.survey(), as_json=as_json)
        return
    try:
        publication = publisher.publish(journals or _default_journals(), publisher.survey)
    except KeyboardInterrupt:
        display.say("Interrupted; the same command goes on where it stopped.")
        raise
    if as_json:
        print(json.dumps(asdict(publication)))
        return
    for upload in publication.uploads:
        print(f"{upload.disk} disk: {upload.sent} of {upload.blocks} blocks sent in {upload.seconds} s")
    for image in publication.images:
        snapshots = ", ".join(f"{snapshot} ({disk} disk)" for disk, snapshot in image.snapshots.items())
        print(f"{publication.name} is {image.image} in {image.region}: {snapshots}")


def validate(  # noqa: PLR0917
    region: Region = None,
    name: Name = None,
    dist: Dist = None,
    encrypt: Encrypt = False,
    kms_key: KmsKey = None,
    copy_to: CopyTo = None,
    share: Share = None,
    tag: Tag = None,
    as_json: AsJson = False,
) -> None:
    """Read all snapshots back and compare bytes and attributes; takes the options that publish was given."""
    from vvctl.publish.aws.validation import Validator  # noqa: PLC0415
    from vvctl.publish.display import Display  # noqa: PLC0415

    appliance = _appliance()
    release, cloud = _release(dist, appliance), _cloud(region)
    accounts = tuple(share or [])
    plan = _plan(cloud, release, name, encrypt=encrypt, kms_key=kms_key, copy_to=copy_to, accounts=accounts, tag=tag)
    display = Display(Console(stderr=True, highlight=False))
    with display.waiting("Reading the disks"):
        surveys = {disk: entry.survey() for disk, entry in release.disks.items()}
    differences = Validator(cloud, appliance, release, plan, surveys).differences(display)
    if as_json:
        print(json.dumps({"name": plan.name, "differences": [asdict(difference) for difference in differences]}))
    if differences:
        named = "" if as_json else "".join(f"\n  {difference}" for difference in differences)
        raise Differs(f"{plan.name} is not as asked for in {len(differences)} point(s){named}")
    if not as_json:
        print(f"{plan.name} is as asked for in {', '.join(plan.regions)}: every byte of both disks, every attribute")


def unpublish(  # noqa: PLR0917
    region: Region = None,
    name: Name = None,
    dist: Dist = None,
    journals: Journals = None,
    copy_to: Annotated[
        list[str] | None, typer.Option(metavar="REGION", help="Remove the copy there as well; repeatable.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed.")] = False,
    as_json: AsJson = False,
) -> None:
    """Deregister the image and delete its snapshots: what publish tagged as its own, and nothing else."""
    from vvctl.journal import Journal  # noqa: PLC0415
    from vvctl.publish.aws import removal  # noqa: PLC0415
    from vvctl.publish.aws.ledger import Ledger, journal_path  # noqa: PLC0415
    from vvctl.publish.aws.plan import Labels  # noqa: PLC0415

    appliance = _appliance()
    cloud = _cloud(region)
    name = name or _release(dist, appliance).image_name
    path = journal_path(journals or _default_journals(), cloud.account, cloud.region, name)
    with ExitStack() as stack:
        ledger = Ledger(stack.enter_context(Journal(path))) if path.exists() else None
        regions = dict.fromkeys([cloud.region, *(copy_to or []), *(ledger.copies if ledger else [])])
        publication = ledger.publication if ledger else None
        made = removal.inventory(cloud, regions, Labels(appliance.product.name), name, publication)
        if not dry_run:
            if made:
                _confirm(made, yes=yes)
            for part in made:
                removal.remove(cloud, part)
            if ledger:
                ledger.forget()
    if as_json:
        print(json.dumps({"name": name, "removed": not dry_run, "resources": [asdict(part) for part in made]}))
    else:
        verb = "would remove" if dry_run else "removed"
        print("\n".join(f"{verb} {line}" for line in _lines(made)) or f"nothing of {name} is in AWS")


def _appliance() -> Appliance:
    return appliances.load(appliances.find_root() / "appliance.yml")


def _release(dist: Path | None, appliance: Appliance) -> Release:
    from vvctl.publish.aws.release import read  # noqa: PLC0415

    return read(dist or appliances.find_root() / "dist", appliance)


def _cloud(region: str | None) -> Cloud:
    from vvctl.publish.aws.cloud import Cloud  # noqa: PLC0415

    return Cloud(region)


def _default_journals() -> Path:
    return appliances.find_root() / "build" / "publish"


def _plan(
    cloud: Cloud,
    release: Release,
    name: str | None,
    /,
    *,
    copy_to: list[str] | None,
    tag: list[str] | None,
    **options: Any,
) -> Plan:
    from vvctl.publish.aws.plan import Plan, WrongPlan  # noqa: PLC0415

    tags = {}
    for text in tag or []:
        key, equals, value = text.partition("=")
        if not equals:
            raise WrongPlan(f"--tag {text} has no value", hint="--tag KEY=VALUE")
        tags[key] = value
    copies = {region: key or None for region, _, key in (text.partition("=") for text in copy_to or [])}
    return Plan(name or release.image_name, cloud.region, copies=copies, tags=tags, **options)


def _print_plan(plan: Plan, surveys: dict[str, Survey], *, as_json: bool) -> None:
    disks = {
        disk: {"gib": survey.volume_gib, "blocks": len(survey.checksums), "bytes": survey.sent_bytes}
        for disk, survey in surveys.items()
    }
    if as_json:
        print(json.dumps({"plan": asdict(plan), "disks": disks}))
        return
    print(f"{plan.name} can be published in {', '.join(plan.regions)}; nothing was made")
    for disk, survey in surveys.items():
        print(f"{disk} disk: {survey.volume_gib} GiB, {survey.sent_bytes / 1e6:.0f} MB to send")


def _lines(made: list[Made]) -> list[str]:
    return [
        f"{identifier} ({name}) in {part.region}"
        for part in made
        for identifier, name in [*part.images.items(), *part.snapshots.items()]
    ]


def _confirm(made: list[Made], *, yes: bool) -> None:
    """Name everything and ask; raises NotConfirmed."""
    if not yes:
        for line in _lines(made):
            print(f"  {line}")
    confirm("Remove these for good? Machines that run go on; no new one can be launched.", yes=yes)
