"""`make bench-engine`: how many calls a core holds, how fast it decides, and what that costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from voice_verify.engine.model import VadNetwork

from . import accounting, instructions, machine, naive, run, subject
from .conversation import VOICES, Conversation, conversations, enrolment
from .instructions import Kernels, Unmeasurable
from .run import Result, Shape
from .subject import Subject

SERVICE_CORE, LOAD_CORE = 0, 1
UTILISATION = 0.6
# A call costs less the more there are, because their work is batched: the number is found step by step.
FIRST_PROBE, PROBES = 40, 4
CLOSE_ENOUGH = 0.04
WARM_UP = Shape(calls=4, seconds=3)
PROBE_S, SIDE_S = 8, 12
RAMP_S = 30
# The ramp ends at what would need so many cores.
RAMP_CORES = 1.8


@dataclass(frozen=True)
class Options:
    """`calls` None: as many as make the core busy for UTILISATION of the time."""

    calls: int | None
    seconds: float
    database: str
    model_dir: Path
    folder: Path


@dataclass
class Findings:
    """What was measured. `avx2` is a reason where it could not be."""

    started: datetime
    machine: dict[str, str]
    options: Options
    fixed_work_s: list[float] = field(default_factory=list)
    stolen_share: float = 0.0
    memory_per_call_mb: dict[str, float] = field(default_factory=dict)
    runs: dict[str, Result] = field(default_factory=dict)
    naive: dict[int, float] = field(default_factory=dict)
    kernels: Kernels | None = None
    avx2: Kernels | str = ""


def benchmark(options: Options) -> Findings:
    """Run it all; takes about three minutes more than `options.seconds`."""
    findings = Findings(datetime.now(UTC), machine.description(), options)
    findings.fixed_work_s.append(machine.fixed_work_s(SERVICE_CORE))
    talks = conversations(VadNetwork(options.model_dir))
    with subject.running(options.model_dir, options.database, SERVICE_CORE) as service:
        _serve(service, talks, options, findings)
    findings.naive = naive.measure(options.model_dir, talks[0], SERVICE_CORE)
    findings.kernels = instructions.kernels(options.model_dir, SERVICE_CORE, {})
    findings.fixed_work_s.append(machine.fixed_work_s(SERVICE_CORE))
    return findings


def _serve(service: Subject, talks: Sequence[Conversation], options: Options, findings: Findings) -> None:
    _enrol(service, range(FIRST_PROBE))
    # Some calls first, so that what is loaded once is not counted as memory of the calls.
    run.execute(service, talks, WARM_UP, LOAD_CORE)
    empty = service.memory()
    calls = _prepare(service, talks, options.calls)
    stolen = accounting.stolen_s()
    target = run.execute(service, talks, Shape(calls, options.seconds), LOAD_CORE)
    findings.stolen_share = (accounting.stolen_s() - stolen) / target.seconds
    findings.memory_per_call_mb = {
        "pss": (target.memory.pss - empty.pss) / calls,
        "rss": (target.memory.rss - empty.rss) / calls,
    }
    findings.runs["target"] = target
    findings.runs["aligned"] = run.execute(service, talks, Shape(calls, SIDE_S, aligned=True), LOAD_CORE)
    findings.runs["20 ms frames"] = run.execute(service, talks, Shape(calls, SIDE_S, frame_ms=20), LOAD_CORE)
    ramp = Shape(calls, RAMP_S, arriving=max(1, int(RAMP_CORES / target.cpu_per_call_s) - calls))
    findings.runs["ramp"] = run.execute(service, talks, ramp, LOAD_CORE)
    try:
        environment = instructions.avx2_only(options.folder / "avx2")
        findings.avx2 = instructions.kernels(options.model_dir, SERVICE_CORE, environment)
    except Unmeasurable as reason:
        findings.avx2 = str(reason)
        return
    service.stop()
    service.start(environment)
    findings.runs["AVX2 only"] = run.execute(service, talks, Shape(calls, SIDE_S), LOAD_CORE)


def _prepare(service: Subject, talks: Sequence[Conversation], wanted: int | None) -> int:
    """Enrol for as many calls as make the core busy for UTILISATION, or for `wanted`; returns how many."""
    calls, enrolled = wanted or FIRST_PROBE, FIRST_PROBE
    for _ in range(1 if wanted else PROBES):
        _enrol(service, range(enrolled, calls))
        enrolled = max(enrolled, calls)
        probe = run.execute(service, talks, Shape(calls, PROBE_S), LOAD_CORE)
        if wanted or abs(probe.load - UTILISATION) < CLOSE_ENOUGH:
            break
        calls = int(calls * UTILISATION / probe.load)
    return min(calls, enrolled)


def _enrol(service: Subject, numbers: range) -> None:
    """A speaker of its own for each call."""
    service.enrol([run.speaker(number) for number in numbers], [enrolment(voice) for voice in VOICES])
