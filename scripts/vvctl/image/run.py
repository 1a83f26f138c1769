"""Run the programs that the image build drives, and say clearly what went wrong when one fails."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from vvctl.errors import CommandFailed, MissingTool

# Enough to see a program's complaint, short enough for a terminal.
TAIL_LINES = 15


def require_tools(tools: Iterable[str], *, hint: str) -> None:
    """Raise MissingTool that names every absent program."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        raise MissingTool(f"not installed: {', '.join(missing)}", hint=hint)


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
    words = [str(word) for word in command]
    environment = {**os.environ, **(env or {})}
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w", encoding="utf-8") as target:
            done = subprocess.run(
                words,
                input=stdin,
                env=environment,
                cwd=cwd,
                text=True,
                stdout=target,
                stderr=subprocess.STDOUT,
                check=False,
            )
        output, complaint = "", log.read_text(encoding="utf-8", errors="replace") if done.returncode else ""
    else:
        done = subprocess.run(
            words, input=stdin, env=environment, cwd=cwd, text=True, capture_output=True, errors="replace", check=False
        )
        output, complaint = done.stdout, f"{done.stdout}\n{done.stderr}"
    if done.returncode:
        last = "\n".join(line for line in complaint.splitlines()[-TAIL_LINES:] if line.strip())
        raise CommandFailed(
            f"{Path(words[0]).name} ended with status {done.returncode}:\n{last}",
            hint=f"the whole output is in {log}" if log else "",
        )
    return output
