"""Run the programs that the image build drives, end them with it, and say clearly what went wrong when one fails."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vvctl.errors import CommandFailed, MissingTool
from vvctl.signals import held_back

# Enough to see a program's complaint, short enough for a terminal.
TAIL_LINES = 15
# mmdebstrap unmounts what it mounted before it ends.
TERMINATE_TIMEOUT_S = 10
# Killed without a chance to clean up, a build takes its programs along: the next one would find them still writing.
_ENDS_WITH_US = ("setpriv", "--pdeathsig", "TERM", "--")

_running: set[int] = set()


def require_tools(tools: Iterable[str], *, hint: str) -> None:
    """Raise MissingTool that names every absent program."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        raise MissingTool(f"not installed: {', '.join(missing)}", hint=hint)


@contextlib.contextmanager
def started(command: Sequence[str | Path], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """A program that is running; `options` are Popen's. Whatever interrupts its caller ends it, with its children."""
    words = [str(word) for word in command]
    with contextlib.ExitStack() as ends:
        with held_back():
            # A group of its own: signals for the terminal's programs reach only us, and we can end all of it.
            process = ends.enter_context(subprocess.Popen([*_ENDS_WITH_US, *words], start_new_session=True, **options))
            _running.add(process.pid)
            ends.callback(_running.discard, process.pid)
            ends.push(lambda kind, _error, _trace: _end(process) if kind else None)
        yield process


def end_all() -> None:
    """Ask all running programs to end, also those that other threads wait for."""
    for group in list(_running):
        _signal(group, signal.SIGTERM)


def _end(process: subprocess.Popen[Any]) -> None:
    _signal(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(TERMINATE_TIMEOUT_S)
    # Its children, should they have stayed.
    _signal(process.pid, signal.SIGKILL)


def _signal(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


def run(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    log: Path | None = None,
    cwd: Path | None = None,
) -> str:
    """Run `command` to its end and return its standard output.

    `env` is added to the environment. With `log`, both outputs go there instead and "" is returned.
    Raises CommandFailed with the program's last lines.
    """
    with contextlib.ExitStack() as stack:
        if log is not None:
            log.parent.mkdir(parents=True, exist_ok=True)
        target = stack.enter_context(log.open("w", encoding="utf-8")) if log is not None else subprocess.PIPE
        process = stack.enter_context(
            started(
                command,
                env={**os.environ, **(env or {})},
                cwd=cwd,
                text=True,
                errors="replace",
                stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
                stdout=target,
                stderr=subprocess.STDOUT if log is not None else subprocess.PIPE,
            )
        )
        output, errors = process.communicate(stdin)
    if process.returncode:
        complaint = log.read_text(encoding="utf-8", errors="replace") if log is not None else f"{output}\n{errors}"
        last = "\n".join(line for line in complaint.splitlines()[-TAIL_LINES:] if line.strip())
        raise CommandFailed(
            f"{Path(command[0]).name} ended with status {process.returncode}:\n{last}",
            hint=f"the whole output is in {log}" if log else "",
        )
    return output or ""
