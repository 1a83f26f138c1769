"""What a person sees while it works: steps, and a bar with rate and remaining time; on stderr."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)


class Meter(Protocol):
    """Takes how many more bytes are done; any thread may call it."""

    def __call__(self, count: int, /) -> None: ...


class Display:
    """Steps and bars on a console."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def say(self, text: str) -> None:
        self._console.print(text)

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """Show that something of unknown length goes on."""
        with self._console.status(text):
            yield

    @contextmanager
    def transfer(self, text: str, total: int, done: int = 0) -> Iterator[Meter]:
        """A bar of `total` bytes of which `done` were there before; yields what advances it."""
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )
        # A minute of speed: throttling comes in waves.
        with Progress(*columns, console=self._console, speed_estimate_period=60) as progress:
            task = progress.add_task(text, total=total, completed=done)
            yield lambda count: progress.advance(task, count)
