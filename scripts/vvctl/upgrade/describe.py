"""An upgrade in words: the plan before it, and how far it is."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vvctl.upgrade import steps
from vvctl.upgrade.history import Decision, History, Phase
from vvctl.upgrade.options import Options
from vvctl.upgrade.plan import Effect
from vvctl.upgrade.provider import Provider
from vvctl.upgrade.steps import Step

_PHASES = {
    Phase.FORWARD: "on the way to the new system",
    Phase.BACK: "on the way back to the old system",
    Phase.COMMITTED: "the new system is in charge; there is a way back until `vvctl upgrade finalize`",
    Phase.FINALIZING: "the way back is being given up",
    Phase.ENDED: "ended",
}


def plan(provider: Provider, options: Options, directory: Path) -> dict[str, Any]:
    """Every step with what it touches, the way back, and for how long calls will be refused."""
    effects = provider.effects()
    forward = steps.forward(safety_before_move=provider.safety_before_move)
    return {
        "steps": [_step(step, effects) for step in forward],
        "rollback": [_step(step, effects) for step in steps.back()],
        "finalize": [_step(step, effects) for step in steps.finalize()[1:2]],
        "downtime": _downtime(options, directory),
    }


def plan_lines(found: dict[str, Any]) -> Iterator[str]:
    """A plan for a person."""
    for title, key in (
        ("The way to the new system", "steps"),
        ("When anything fails, by itself, and with `vvctl upgrade rollback`", "rollback"),
        ("Later, with `vvctl upgrade finalize`", "finalize"),
    ):
        yield f"[bold]{title}[/]"
        for number, step in enumerate(found[key], start=1):
            yield f"  {number:2}. {step['state']:<15} {step['says']}"
            for touched in step["touches"]:
                yield f"      {'':<15} [dim]{touched}[/]"
    yield f"[bold]Downtime[/] {found['downtime']}"


def status(history: History) -> dict[str, Any]:
    """How far an upgrade is."""
    stays = history.stays()
    before = history.before
    return {
        "id": history.id,
        "provider": history.provider,
        "machine": history.facts["machine"],
        "data_disk": history.facts["data_disk"],
        "phase": history.phase,
        "state": stays[-1].state if stays and stays[-1].left is None else None,
        "worked_on": _works(history),
        "why": history.why(Decision.ROLLBACK),
        "from_version": before.inventory["version"] if before is not None else None,
        "refused_s": history.refused_s(),
        "states": [
            {
                "state": stay.state,
                "entered": stay.entered.isoformat(),
                "seconds": round((stay.left - stay.entered).total_seconds(), 3) if stay.left else None,
            }
            for stay in stays
        ],
    }


def status_lines(found: dict[str, Any], directory: Path) -> Iterator[str]:
    """How far it is, for a person."""
    yield f"[bold]{found['machine']}[/] ({found['provider']}), data disk {found['data_disk']}, upgrade {found['id']}"
    yield f"  {_PHASES[found['phase']]}" + (f"; why: {found['why']}" if found["why"] else "")
    for stay in found["states"]:
        if stay["seconds"] is not None:
            yield f"  [green]✓[/] {stay['state']:<15} {stay['seconds']:.1f} s"
    if found["state"] is not None:
        since = datetime.now(UTC) - datetime.fromisoformat(found["states"][-1]["entered"])
        yield f"  … {found['state']:<15} for {since.total_seconds():.0f} s now"
    if found["refused_s"] is not None:
        yield f"  calls were refused for {found['refused_s']:.1f} s"
    if found["worked_on"]:
        yield "  a process is working on it"
    elif found["phase"] in {Phase.FORWARD, Phase.BACK, Phase.FINALIZING}:
        yield "  nobody is working on it: `vvctl upgrade resume` goes on, `vvctl upgrade rollback` goes back"
    yield f"  journal: {directory}"


def _step(step: Step, effects: Sequence[Effect]) -> dict[str, Any]:
    touches = [effect.touches for effect in effects if effect.state == step.state]
    return {"state": step.state, "says": step.says, "touches": touches}


def _downtime(options: Options, directory: Path) -> str:
    calls = f"from the first refused call until running calls have ended (at most {options.drain_s:.0f} s), and then "
    measured = [
        (history.when(Decision.QUIET), refused)
        for path in [directory, *directory.parent.glob(f"{glob.escape(directory.name)}.*")]
        if (history := History.read(path)).records and (refused := history.refused_s()) is not None
    ]
    if measured:
        when, refused = max(measured, key=lambda pair: str(pair[0]))
        return f"{calls}as measured here at the upgrade of {when:%Y-%m-%d}: {refused:.0f} s in all"
    return (
        f"{calls}what a backup, a shutdown, a boot and the migration take, which was never measured on this machine: "
        f"it is given up when the shutdown takes more than {options.shutdown_s:.0f} s or the start more than "
        f"{options.start_s:.0f} s"
    )


def _works(history: History) -> bool:
    """Whether the process that worked on it last is still there."""
    process = history.process
    if process is None or process[0] != os.uname().nodename:
        return False
    try:
        os.kill(process[1], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        # It is there, and another account's.
        pass
    return True
