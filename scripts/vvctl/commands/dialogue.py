"""What a command asks and says, to a person or to a program."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console

from vvctl.errors import NotConfirmed, VvctlError


def confirm(question: str, *, yes: bool) -> None:
    """Ask; raises NotConfirmed."""
    try:
        agreed = yes or typer.confirm(question)
    except typer.Abort:
        # There is nobody to ask.
        agreed = False
    if not agreed:
        raise NotConfirmed("nothing was done", hint="answer y, or give --yes")


def stderr() -> Console:
    """For what is said beside the result."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def event(name: str, **content: Any) -> None:
    """A line for programs."""
    print(json.dumps({"event": name, **content}), flush=True)


@contextmanager
def reported(as_json: bool) -> Iterator[None]:
    """Have a program, too, learn why it failed."""
    try:
        yield
    except VvctlError as error:
        if as_json:
            event("error", code=error.code, message=error.message, hint=error.hint)
        raise
