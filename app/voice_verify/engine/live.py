"""An open stream, as the engine keeps it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from uuid import UUID

from voice_verify.engine.backlog import Backlog
from voice_verify.engine.errors import EngineError
from voice_verify.engine.features import SAMPLE_RATE
from voice_verify.engine.stream import StreamState
from voice_verify.engine.voice import Voice

OnUpdate = Callable[[UUID, Voice], None]

QUALITY_SAMPLES = SAMPLE_RATE // 2
"""The quality of a stream is worked out anew after that much audio: it costs as much as all else that is kept."""


class LiveStream:
    """An open stream; the engine's lock protects all but `state`.

    The thread that hears has the state's audio, whoever embeds a chunk of the stream the state's sum.
    """

    def __init__(self, identity: UUID, state: StreamState, on_update: OnUpdate | None) -> None:
        self.identity = identity
        self.state = state
        self.backlog = Backlog()
        self.on_update = on_update
        self.voice = state.voice()
        self.samples_heard = 0
        self.quality_due = QUALITY_SAMPLES
        self.being_heard = False
        self.closing = False
        self.closed = threading.Event()
        self.failure: EngineError | None = None
