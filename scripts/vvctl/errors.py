"""The errors that vvctl reports to a person: what went wrong, what to do, and a stable code."""

from __future__ import annotations


class VvctlError(Exception):
    """Base of every expected failure; anything else that escapes is a bug.

    Subclasses set `code` (stable, for scripts) and may set `exit_status`.
    """

    code = "error"
    exit_status = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ConfigurationError(VvctlError):
    """appliance.yml, or something derived from it, is wrong."""

    code = "configuration"


class MissingTool(VvctlError):
    """A program that the work needs is not installed."""

    code = "missing_tool"


class IntegrityError(VvctlError):
    """Something fetched or built is not what it was declared to be."""

    code = "integrity"


class CommandFailed(VvctlError):
    """A program that vvctl ran ended with an error; its last lines are in the message."""

    code = "command_failed"


class NotConfirmed(VvctlError):
    """Nobody said yes."""

    code = "not_confirmed"
