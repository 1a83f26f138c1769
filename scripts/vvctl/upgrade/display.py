"""What is seen of an upgrade while it runs: on a terminal, in a log, or by a program."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Protocol, Self

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from vvctl.upgrade.steps import Step
from vvctl.upgrade.upgrade import Follower

# A log gets a sign of life as often.
_SIGN_OF_LIFE_S = 30.0


class Display(Follower, Protocol):
    """Follows an upgrade until it is left."""

    def say(self, text: str) -> None:
        """What is waited for, or tried again."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def display(console: Console, *, as_json: bool) -> Display:
    """The one that fits: JSON lines on standard output, else on `console`."""
    if as_json:
        return JsonLines(lambda line: print(line, flush=True))
    return Terminal(console) if console.is_terminal else Lines(console)


class Terminal:
    """The current state with a clock; those that are over stay above it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.fields[state]:<15} {task.description}"),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[note]}"),
            console=console,
            transient=True,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def entered(self, step: Step) -> None:
        for task in self._progress.task_ids:
            self._progress.remove_task(task)
        self._progress.add_task(step.says, total=None, state=step.state, note="")

    def left(self, step: Step, seconds: float) -> None:
        for task in self._progress.task_ids:
            self._progress.remove_task(task)
        self._console.print(f"  [green]✓[/] {step.state:<15} {step.says} [dim]({seconds:.1f} s)[/]")

    def say(self, text: str) -> None:
        for task in self._progress.task_ids:
            self._progress.update(task, note=text)


class Lines:
    """A line for each state, and one now and then while nothing else is to be said."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._state, self._since, self._note = "", 0.0, ""
        self._ended = threading.Event()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        threading.Thread(target=self._live, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()

    def entered(self, step: Step) -> None:
        with self._lock:
            self._state, self._since, self._note = step.state, time.monotonic(), ""
            self._print(f"{step.state}: {step.says}")

    def left(self, step: Step, seconds: float) -> None:
        with self._lock:
            self._state = ""
            self._print(f"{step.state}: done in {seconds:.1f} s")

    def say(self, text: str) -> None:
        self._note = text

    def _live(self) -> None:
        while not self._ended.wait(_SIGN_OF_LIFE_S):
            with self._lock:
                if self._state:
                    note = f": {self._note}" if self._note else ""
                    self._print(f"{self._state}: for {time.monotonic() - self._since:.0f} s now{note}")

    def _print(self, text: str) -> None:
        self._console.print(f"{datetime.now():%H:%M:%S} {text}")


class JsonLines:
    """One JSON object a line."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def entered(self, step: Step) -> None:
        self._event("entered", state=step.state, says=step.says)

    def left(self, step: Step, seconds: float) -> None:
        self._event("left", state=step.state, seconds=round(seconds, 3))

    def say(self, text: str) -> None:
        self._event("note", text=text)

    def _event(self, event: str, **content: Any) -> None:
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._write(json.dumps({"event": event, "at": at, **content}))
