"""`python -m tests.load.calls`: the benchmark behind `make bench-calls`."""

from __future__ import annotations

import argparse
import time
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
    began = time.monotonic()

    def say(what: str) -> None:
        console.print(f"[dim]{time.monotonic() - began:6.1f} s  {what}[/]", highlight=False)

    described = machine.description()
    for name, value in described.items():
        console.print(f"[dim]{name:>10}[/]  {value}", highlight=False)
    talks = conversations(VadNetwork(MODEL))
    shapes = {
        "whole service": Shape(arguments.calls, arguments.seconds),
        "through the relay": Shape(arguments.calls, arguments.seconds, relay=True),
        "telephony alone": Shape(ALONE, arguments.seconds, alone=True),
        "alone, through the relay": Shape(ALONE, arguments.seconds, relay=True, alone=True),
    }
    noise = [machine.fixed_work_s(bench.SERVICE_CORE)]
    results = {}
    for name, shape in shapes.items():
        say(f"[bold]{name}: {shape.calls} calls[/]")
        results[name] = result = bench.measure(shape, talks, MODEL, arguments.database, say)
        noise.append(machine.fixed_work_s(bench.SERVICE_CORE))
        for problem in result.problems:
            console.print(f"[red]{problem}[/]", highlight=False, markup=False)
        # A later run may fail; this one is kept.
        report.write(results, described, noise, REPORT)
    report.show(results, noise, console)
    print(f"also in {REPORT}")


if __name__ == "__main__":
    main()
