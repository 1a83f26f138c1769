"""What the engine reports, as the errors of the service."""

from __future__ import annotations

from voice_verify import engine as engines
from voice_verify.errors import (
    EngineRestarted,
    EngineUnavailable,
    Overloaded,
    StreamFailed,
    StreamNotFound,
    VoiceVerifyError,
)


def translated(error: engines.EngineError) -> VoiceVerifyError:
    """The error to raise from `error`."""
    match error:
        case engines.UnknownStream():
            return StreamNotFound("The stream has ended")
        case engines.Overloaded():
            return Overloaded(error.message, hint=error.hint)
        case engines.EngineRestarted():
            return EngineRestarted(error.message, hint=error.hint)
        case engines.NotRunning():
            return EngineUnavailable(error.message, hint=error.hint)
        case _:
            return StreamFailed("The audio could not be processed", hint=error.hint)
