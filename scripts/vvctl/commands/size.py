"""`vvctl size`: which machine a customer needs."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from vvctl.appliance import find_root, load
from vvctl.sizing.plan import Need, Plan, plan


def size(
    calls: Annotated[int, typer.Option(min=1, help="Calls at once at the busiest time.")],
    hours: Annotated[float, typer.Option(min=0.1, max=24, help="Hours a day with that many calls.")] = 24,
    days: Annotated[
        int | None, typer.Option(min=1, help="How long logs are kept; default: retention.logs_days of appliance.yml.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a program.")] = False,
) -> None:
    """Print tier, cores, RAM and disks for a number of calls, and why."""
    appliance = load(find_root() / "appliance.yml")
    found = plan(appliance, Need(calls, hours, days or appliance.retention.logs_days))
    if as_json:
        print(json.dumps(answer(found), indent=2))
    else:
        show(found, Console(highlight=False))


def answer(found: Plan) -> dict[str, Any]:
    """The plan as JSON: sizes in GB."""
    return {
        "calls": found.need.calls,
        "hours": found.need.hours,
        "days": found.need.days,
        "tier": found.tier.id,
        "label": found.tier.label,
        "cores": found.tier.cores,
        "memory_gb": found.tier.memory_gb,
        "system_disk_gb": found.system_disk_gb,
        "data_disk_gb": found.data_disk_gb,
        "logs_gb": found.logs_gb,
        "aws_instance": found.tier.aws_instance,
        "why": list(found.why),
    }


def show(found: Plan, console: Console) -> None:
    """The plan for a person."""
    table = Table(show_header=False, box=None)
    tier = found.tier
    for name, value in (
        ("Tier", f"{tier.id} ({tier.label})"),
        ("Cores", tier.cores),
        ("RAM", f"{tier.memory_gb} GB"),
        ("System disk", f"{found.system_disk_gb} GB"),
        ("Data disk", f"{found.data_disk_gb} GB"),
        ("On AWS", tier.aws_instance),
    ):
        table.add_row(name, str(value))
    console.print(table)
    console.print()
    for reason in found.why:
        console.print(f"- {reason}")
