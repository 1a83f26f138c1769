"""The findings as tables for people and as JSON for programs."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from .bench import UTILISATION, Findings
from .call import QUERY_S
from .conversation import SPEECH_SHARE
from .instructions import Kernels
from .run import Result


def summary(findings: Findings) -> dict[str, Any]:
    """Everything, as JSON takes it."""
    options = findings.options
    return {
        "started": findings.started.isoformat(timespec="seconds"),
        "command": command(findings),
        "machine": findings.machine,
        "noise": {"fixed_work_s": findings.fixed_work_s, "stolen_share": findings.stolen_share},
        "database": options.database,
        "queries_per_call_s": 1 / QUERY_S,
        "memory_per_call_mb": findings.memory_per_call_mb,
        "runs": {name: _run(result) for name, result in findings.runs.items()},
        "naive": {
            str(length): {"cpu_per_call_s": cost, "calls_per_core": UTILISATION / cost}
            for length, cost in naive(findings).items()
        },
        "kernels_ms": {"this processor": _kernels(findings.kernels), "AVX2 only": _kernels(findings.avx2)},
    }


def command(findings: Findings) -> str:
    """How to repeat it."""
    options = findings.options
    return (
        f"make bench-engine N={findings.runs['target'].shape.calls} SECONDS={options.seconds:g} "
        f"DATABASE={options.database}"
    )


def naive(findings: Findings) -> dict[int, float]:
    """CPU seconds a call-second of the naive way by length of the call: all that is not the engine is as it is here."""
    target = findings.runs["target"]
    parts = target.usage.by_part()
    engine = sum(parts.get(part, 0.0) for part in ("vad", "features", "embedding"))
    beside = (target.usage.total - engine) / (target.shape.calls * target.seconds)
    return {length: cost + beside for length, cost in findings.naive.items()}


def write(findings: Findings, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(summary(findings), indent=2) + "\n")


def show(findings: Findings, console: Console) -> None:
    target = findings.runs["target"]
    for name, value in findings.machine.items():
        console.print(f"[dim]{name:>10}[/]  {value}", highlight=False)
    console.print(f"[dim]{'repeat':>10}[/]  {command(findings)}", highlight=False)
    console.print(f"[dim]{'noise':>10}[/]  {_noise(findings)}\n", highlight=False)
    console.print(_runs(findings))
    console.print(_parts(target))
    console.print(_baseline(findings))
    console.print(_instruction_sets(findings))


def _noise(findings: Findings) -> str:
    before, after = findings.fixed_work_s
    return (
        f"the same work took {before:.2f} s before and {after:.2f} s after; "
        f"the hypervisor took {findings.stolen_share:.1%} of a core during the target run"
    )


def _runs(findings: Findings) -> Table:
    table = Table(title="Calls in real time, each with two verification queries a second", title_justify="left")
    for heading in ("run", "calls", "frames", "core", "calls a core", "decision p50", "p95", "p99", "max", "age p99"):
        table.add_column(heading, justify="left" if heading == "run" else "right")
    for heading in ("lost", "refused", "failed", "load gen."):
        table.add_column(heading, justify="right")
    for name, result in findings.runs.items():
        latency, age = result.latencies_ms(), result.ages_ms()
        calls = f"{result.shape.calls}" + (f" to {len(result.outcomes)}" if result.shape.arriving else "")
        table.add_row(
            name,
            calls,
            f"{result.shape.frame_ms} ms",
            f"{result.load:.0%}",
            "-" if result.shape.arriving else f"{UTILISATION / result.cpu_per_call_s:.0f}",
            *(f"{value:.0f} ms" for value in (latency.p50, latency.p95, latency.p99, latency.max)),
            f"{age.p99:.0f} ms",
            f"{result.lost_audio_s():.1f} s",
            str(result.refused()),
            str(result.failed()),
            f"{result.generator_s / result.seconds:.0%}",
        )
    target, first = findings.runs["target"], findings.runs["ramp"].calls_at_first_refusal()
    memory = findings.memory_per_call_mb
    table.caption_justify = "left"
    table.caption = (
        f"calls a core: at {UTILISATION:.0%} of it, service and database. "
        f"decision: from when a query was due until its answer. age: audio sent by then that it did not know.\n"
        f"memory a call: {memory['pss']:.2f} MB (PSS), {memory['rss']:.2f} MB (RSS). "
        f"speech heard: {target.speech_share():.0%} of the audio (aimed at {SPEECH_SHARE:.0%}). "
        f"ramp: {'nobody was refused' if first is None else f'refused with 503 from {first} calls on'}."
    )
    return table


def _parts(target: Result) -> Table:
    table = Table(title="CPU time of the target run by part", title_justify="left")
    table.add_column("part")
    table.add_column("ms a call-second", justify="right")
    table.add_column("share", justify="right")
    parts = target.usage.by_part()
    for name, seconds in sorted(parts.items(), key=lambda part: -part[1]):
        share = seconds / target.usage.total
        table.add_row(name, f"{seconds / (target.shape.calls * target.seconds) * 1000:.3f}", f"{share:.0%}")
    table.add_section()
    table.add_row("all", f"{target.cpu_per_call_s * 1000:.3f}", "100%")
    return table


def _baseline(findings: Findings) -> Table:
    table = Table(title="The naive way: embed all audio so far again at each query", title_justify="left")
    for heading in ("length of the call", "CPU ms a call-second", "calls a core", "ours holds"):
        table.add_column(heading, justify="right")
    ours = findings.runs["target"].cpu_per_call_s
    for length, cost in naive(findings).items():
        table.add_row(
            f"{length} s", f"{cost * 1000:.1f}", f"{UTILISATION / cost:.1f}", f"{cost / ours:.0f} times as many"
        )
    return table


def _instruction_sets(findings: Findings) -> Table:
    table = Table(title="Instruction sets: CPU ms a second", title_justify="left")
    for heading in ("", "VAD", "features", "embedding fp32", "embedding int8"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, kernels in (("this processor", findings.kernels), ("AVX2 only", findings.avx2)):
        if not isinstance(kernels, Kernels):
            table.caption = f"{name}: unmeasured: {kernels}"
            continue
        embedding = f"{kernels.int8:.2f}" if kernels.precision == "int8" else "fails its self-test"
        table.add_row(name, f"{kernels.vad:.2f}", f"{kernels.features:.2f}", f"{kernels.fp32:.2f}", embedding)
    return table


def _run(result: Result) -> dict[str, Any]:
    return {
        "calls": result.shape.calls,
        "arriving": result.shape.arriving,
        "seconds": result.seconds,
        "frame_ms": result.shape.frame_ms,
        "core_share": result.load,
        "cpu_per_call_s": result.cpu_per_call_s,
        "cpu_s_by_part": result.usage.by_part(),
        "calls_per_core": UTILISATION / result.cpu_per_call_s,
        "latency_ms": asdict(result.latencies_ms()),
        "age_ms": asdict(result.ages_ms()),
        "lost_audio_s": result.lost_audio_s(),
        "refused": result.refused(),
        "failed": result.failed(),
        "calls_at_first_refusal": result.calls_at_first_refusal(),
        "speech_share": result.speech_share(),
        "load_generator_core_share": result.generator_s / result.seconds,
        "load_generator_late_ms": max((outcome.late_s for outcome in result.outcomes), default=0.0) * 1000,
    }


def _kernels(kernels: Kernels | str | None) -> dict[str, Any] | str | None:
    return asdict(kernels) if isinstance(kernels, Kernels) else kernels
