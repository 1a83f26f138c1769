"""`python -m tests.load.calls`: the benchmark behind `make bench-calls`."""

from __future__ import annotations

import argparse
from pathlib import Path

REPORT = Path("build/reports/bench-calls.json")
MODEL = Path("build/model")
ALONE = 150
"""Calls of tier 3."""


def main() -> None:
    # The process that asks imports this module, too, and needs nothing of it.
    from rich.console import Console  # noqa: PLC0415

    from tests.load import machine  # noqa: PLC0415
    from tests.load.conversation import conversations  # noqa: PLC0415
    from voice_verify.engine.model import VadNetwork  # noqa: PLC0415

    from . import bench, report  # noqa: PLC0415
    from .bench import Shape  # noqa: PLC0415

    parser = argparse.ArgumentParser(prog="python -m tests.load.calls", description=bench.__doc__)
    parser.add_argument("--calls", type=int, default=75)
    parser.add_argument("--seconds", type=float, default=30, help="that are measured, of each run")
    parser.add_argument("--database", choices=["postgresql", "sqlite"], default="postgresql")
    arguments = parser.parse_args()
    console = Console(width=180)
    described = machine.description()
    talks = conversations(VadNetwork(MODEL))
    shapes = {
        "whole service": Shape(arguments.calls, arguments.seconds),
        "through the relay": Shape(arguments.calls, arguments.seconds, relay=True),
        "telephony alone": Shape(ALONE, arguments.seconds, alone=True),
        "alone, through the relay": Shape(ALONE, arguments.seconds, relay=True, alone=True),
    }
    for name, value in described.items():
        console.print(f"[dim]{name:>10}[/]  {value}", highlight=False)
    noise = [machine.fixed_work_s(bench.SERVICE_CORE)]
    results = {}
    for name, shape in shapes.items():
        console.print(f"[dim]{name}: {shape.calls} calls[/]", highlight=False)
        results[name] = bench.measure(shape, talks, MODEL, arguments.database)
        noise.append(machine.fixed_work_s(bench.SERVICE_CORE))
    console.print(f"the same work took {', '.join(f'{seconds:.2f}' for seconds in noise)} s between the runs")
    report.write(results, described, REPORT)
    report.show(results, console)
    print(f"also in {REPORT}")


if __name__ == "__main__":
    main()
