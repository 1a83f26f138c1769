"""What a person sees of a build: the phase that runs, Ansible's progress, and the times at the end."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table


def size_text(size: int) -> str:
    """A size in bytes as people read it."""
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"


class Report:
    """Shows phases as they run and remembers how long each took, in seconds; `log` keeps when each began and ended."""

    def __init__(self, console: Console, log: Path | None = None) -> None:
        self.console = console
        self._log = log
        self.times: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str, *, total: int | None = None) -> Iterator[Callable[[str], None]]:
        """Run a phase under a progress bar; the yielded function takes the name of each step as it begins."""
        started = time.monotonic()
        self._note(f"{name} begins")
        with (
            self._noted_end(name),
            Progress(
                SpinnerColumn(),
                TextColumn("{task.fields[phase]:<28}"),
                BarColumn(bar_width=30),
                MofNCompleteColumn() if total else TextColumn(""),
                TimeElapsedColumn(),
                TextColumn("{task.description}"),
                console=self.console,
                transient=True,
                disable=not self.console.is_terminal,
            ) as progress,
        ):
            bar = progress.add_task("", total=total, phase=name)
            steps = 0

            def step(description: str) -> None:
                nonlocal steps
                # Tasks that a playbook includes on the way are not in the total that was counted before.
                if total is not None and steps > total:
                    progress.update(bar, total=steps)
                progress.update(bar, completed=steps, description=description)
                steps += 1

            yield step
        self.times[name] = time.monotonic() - started
        self._note(f"{name} is done after {self.times[name]:.1f} s")
        self.console.print(f"[green]✓[/] {name:<28} {self.times[name]:6.1f} s")

    @contextmanager
    def _noted_end(self, name: str) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self._note(f"{name} ended early: {type(error).__name__} {error}")
            raise

    def _note(self, text: str) -> None:
        if self._log is not None:
            self._log.parent.mkdir(parents=True, exist_ok=True)
            with self._log.open("a", encoding="utf-8") as target:
                target.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {os.getpid()} {text}\n")

    def summary(self, artefacts: dict[Path, int]) -> None:
        """Print the time of every phase and the size in bytes of every artefact."""
        times = Table(title="Times", show_header=False)
        times.add_column("Phase")
        times.add_column("Seconds", justify="right")
        for name, seconds in self.times.items():
            times.add_row(name, f"{seconds:.1f} s")
        times.add_section()
        times.add_row("together", f"{sum(self.times.values()):.1f} s")
        sizes = Table(title="Artefacts", show_header=False)
        sizes.add_column("File")
        sizes.add_column("Size", justify="right")
        for path, size in artefacts.items():
            sizes.add_row(path.name, size_text(size))
        self.console.print(times)
        self.console.print(sizes)
