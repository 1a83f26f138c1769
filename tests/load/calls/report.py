"""The findings as tables for people and as JSON for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from .bench import Result

UTILISATION = 0.6
# Shown even when they are nothing; the others only when they happened.
COUNTS = ("rtp_packets", "rtp_lost", "rtp_late", "rtp_overflowed")
GAUGES = ("rtp_jitter_seconds", "rtp_ports_free")
# Fields of Usage.
PROCESSES = ("telephony", "api", "engine", "postgresql")


def write(results: Mapping[str, Result], machine: Mapping[str, str], noise: Sequence[float], file: Path) -> None:
    """`noise`: seconds that the same work took before, between and after the runs."""
    file.parent.mkdir(parents=True, exist_ok=True)
    runs = {name: _run(result) for name, result in results.items()}
    file.write_text(json.dumps({"machine": machine, "fixed_work_s": noise, "runs": runs}, indent=2) + "\n")


def show(results: Mapping[str, Result], noise: Sequence[float], console: Console) -> None:
    console.print(f"the same work took {', '.join(f'{seconds:.2f}' for seconds in noise)} s between the runs\n")
    console.print(_calls(results))
    console.print(_parts(results))


def _calls(results: Mapping[str, Result]) -> Table:
    table = Table(title="Telephone calls with real speech", title_justify="left", caption_justify="left")
    table.add_column("run")
    for heading in ("calls", "held", "whole", "seconds", "core", "calls a core"):
        table.add_column(heading, justify="right")
    for heading in ("decision p50", "p95", "p99", "max", "late p99", "late max", "lost", "failed", "load gen."):
        table.add_column(heading, justify="right")
    for name, result in results.items():
        latency, late = result.latency_ms, result.late_ms
        table.add_row(
            name,
            str(result.shape.calls),
            str(result.held),
            str(result.whole),
            f"{result.seconds:.0f}",
            f"{result.usage.total / result.seconds:.0%}",
            f"{UTILISATION / result.cpu_per_call_s:.0f}",
            *map(_ms, (latency.p50, latency.p95, latency.p99, latency.max, late.p99, late.max)),
            f"{result.lost_audio_s:.2f} s",
            str(result.failed()),
            f"{sum(result.generator_s.values()) / result.seconds:.0%}",
        )
    table.caption = (
        "held: ran when measuring began; whole: hung up by the caller at the end of what he said. "
        f"calls a core: at {UTILISATION:.0%} of it, with everything that the service and its database use.\n"
        "decision: from when a query was due until its answer. late: how much later than at best the audio was heard; "
        "audio comes in whole windows, so up to a second is no lateness.\nlost: sent and not on the timeline. "
        "load gen.: of the other core."
    )
    return table


def _parts(results: Mapping[str, Result]) -> Table:
    table = Table(title="CPU ms a call-second by part; packets", title_justify="left")
    table.add_column("")
    for name in results:
        table.add_column(name, justify="right")
    for process in PROCESSES:
        table.add_row(
            f"process: {process}", *(_cost(result, getattr(result.usage, process)) for result in results.values())
        )
    table.add_row("all", *(_cost(result, result.usage.total) for result in results.values()))
    table.add_section()
    parts = {part: None for result in results.values() for part in result.usage.parts}
    for part in parts:
        table.add_row(f"of it: {part}", *(_cost(result, result.usage.parts.get(part)) for result in results.values()))
    table.add_section()
    for load in ("sipp", "queries", "relay"):
        table.add_row(f"load: {load}", *(_cost(result, result.generator_s.get(load)) for result in results.values()))
    table.add_section()
    shown = {name for result in results.values() for name, count in result.counts.items() if count or name in COUNTS}
    for name in sorted(name for name in shown if name.startswith("rtp_") and name not in GAUGES):
        table.add_row(name, *(f"{result.counts.get(name, 0):g}" for result in results.values()))
    for name in ("given", "lost", "passed"):
        table.add_row(f"relay: {name}", *(str(result.road.get(name, "-")) for result in results.values()))
    return table


def _cost(result: Result, seconds: float | None) -> str:
    if not seconds:
        return "-"
    return f"{seconds / (result.shape.calls * result.seconds) * 1000:.3f}"


def _ms(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.0f} ms"


def _run(result: Result) -> dict[str, Any]:
    return {
        **asdict(result.shape),
        "measured_s": result.seconds,
        "held": result.held,
        "whole": result.whole,
        "problems": result.problems,
        "core_share": result.usage.total / result.seconds,
        "cpu_per_call_s": result.cpu_per_call_s,
        "calls_per_core": UTILISATION / result.cpu_per_call_s,
        "cpu_s": asdict(result.usage),
        "load_cpu_s": result.generator_s,
        "latency_ms": asdict(result.latency_ms),
        "late_ms": asdict(result.late_ms),
        "sent_s": result.sent_s,
        "lost_audio_s": result.lost_audio_s,
        "failed_queries": result.failed(),
        "counts": result.counts,
        "relay": result.road,
    }
