"""What the engine reports: a stable code, what was wrong and what to do."""

from __future__ import annotations


class EngineError(Exception):
    """Base of every expected failure of the engine."""

    code = "engine_error"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ModelError(EngineError):
    """The model directory is missing, damaged or made for another version of the engine."""

    code = "model_error"


class ProfileError(EngineError):
    """An Audio Source Profile cannot be read or contradicts itself."""

    code = "profile_error"


class Overloaded(EngineError):
    """More audio waits than the engine may hold; the samples of this push were not taken."""

    code = "overloaded"


class UnknownStream(EngineError):
    """No stream of this identity is open."""

    code = "unknown_stream"


class StreamExists(EngineError):
    """A stream of this identity is open already."""

    code = "stream_exists"


class StreamFailed(EngineError):
    """The engine could not process the audio of this stream; close it and open another."""

    code = "stream_failed"


class NotRunning(EngineError):
    """The engine has not been started, or was stopped."""

    code = "engine_not_running"


class EngineRestarted(EngineError):
    """The engine's process ended while it worked on this; another one takes its place."""

    code = "engine_restarted"
