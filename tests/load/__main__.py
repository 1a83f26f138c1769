"""`python -m tests.load`: the benchmark behind `make bench-engine`."""

from __future__ import annotations

import argparse
from pathlib import Path

REPORT = Path("build/reports/bench-engine.json")


def main() -> None:
    # The load generator's process imports this module, too, and needs nothing of it.
    from rich.console import Console  # noqa: PLC0415

    from . import bench, report  # noqa: PLC0415

    parser = argparse.ArgumentParser(prog="python -m tests.load", description=bench.__doc__)
    parser.add_argument("--calls", type=int, help="calls of the target run; else as many as fill 60 %% of a core")
    parser.add_argument("--seconds", type=float, default=30, help="length of the target run")
    parser.add_argument("--database", choices=["postgresql", "sqlite"], default="postgresql")
    arguments = parser.parse_args()
    options = bench.Options(
        calls=arguments.calls,
        seconds=arguments.seconds,
        database=arguments.database,
        model_dir=Path("build/model"),
        folder=Path("build/bench"),
    )
    findings = bench.benchmark(options)
    report.write(findings, REPORT)
    report.show(findings, Console(width=180))
    print(f"also in {REPORT}")


if __name__ == "__main__":
    main()
