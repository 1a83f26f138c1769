"""Follow Packer's machine-readable output: which Ansible task runs, and what failed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from io import TextIOBase

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_TASK = re.compile(r"(?:TASK|RUNNING HANDLER) \[(?P<name>.*)\] \**")
_FAILED = re.compile(r"(?:fatal|failed): \[(?P<host>[^\]]+)\](?:: (?P<kind>[A-Z]+)!)?(?:.*?) => (?P<detail>.*)")
_ERROR = re.compile(r"\[ERROR\]: (?P<text>.*)")
# How Packer writes the commas and line ends of a message (packer.io/docs/commands, machine-readable output).
_COMMA, _NEWLINE, _RETURN = "%!(PACKER_COMMA)", "\\n", "\\r"
# The end of a traceback or of a program's output says what went wrong.
_TAIL_LINES = 5
_SAID = ("msg", "stderr", "module_stderr")


@dataclass
class Failure:
    """The task that failed and what it said."""

    task: str
    message: str


@dataclass
class Follower:
    """Reads lines and keeps what a person wants to know; calls `on_task` as each task begins."""

    on_task: Callable[[str], None] = lambda _name: None
    tasks: int = 0
    task: str = ""
    failure: Failure | None = None
    errors: list[str] = field(default_factory=list)

    def feed(self, line: str) -> str:
        """Take one line of output; return the readable text for the log, "" when it holds none."""
        text = message_of(line)
        for part in text.splitlines():
            self._read(part.strip())
        return text

    def _read(self, text: str) -> None:
        # The null builder's name stands before every line.
        text = re.sub(r"^\S+\.\S+: ", "", text).strip()
        if found := _TASK.match(text):
            self.tasks += 1
            self.task = found["name"]
            self.on_task(self.task)
        elif (found := _FAILED.match(text)) and self.failure is None:
            self.failure = Failure(self.task, _detail(found["detail"]))
        elif text == "...ignoring":
            self.failure = None
        elif found := _ERROR.match(text):
            self.errors.append(found["text"])

    @property
    def complaint(self) -> str:
        """What went wrong, in one paragraph."""
        if self.failure is not None:
            return f"task “{self.failure.task}” failed: {self.failure.message}"
        return self.errors[-1] if self.errors else "Packer ended with an error"


class LineSink(TextIOBase):
    """A file object that hands complete lines on: what python-packer's `sh` can write to on every Python."""

    def __init__(self, take: Callable[[str], None]) -> None:
        super().__init__()
        self._take = take
        self._rest = b""

    def write(self, chunk: str | bytes) -> int:
        data = chunk.encode() if isinstance(chunk, str) else chunk
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._take(line.decode("utf-8", errors="replace"))
        return len(chunk)


def message_of(line: str) -> str:
    """The text of a machine-readable `ui` or `error` line; other kinds give ""."""
    fields = line.rstrip("\r\n").split(",", 4)
    if len(fields) < 4 or fields[2] not in {"ui", "error"}:
        return ""
    text = fields[4] if fields[2] == "ui" and len(fields) == 5 else fields[3]
    text = _ANSI.sub("", text.replace(_COMMA, ","))
    # A task's result is one line, and Packer does not tell the \\n inside its JSON from a line end.
    return text if _FAILED.search(text) else text.replace(_NEWLINE, "\n").replace(_RETURN, "")


def _detail(text: str) -> str:
    """The message in a failed task's result, with the program's own complaint where there is one."""
    try:
        result = json.loads(text)
    except ValueError:
        return text
    parts = ["\n".join(str(result.get(key, "")).strip().splitlines()[-_TAIL_LINES:]) for key in _SAID]
    items = [str(item.get("msg", "")) for item in result.get("results", []) if item.get("failed")]
    return "\n".join(dict.fromkeys(part for part in [*parts, *items] if part)) or text
