"""What the API process remembers of the streams and recordings that the engine process works on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

from voice_verify.engine.errors import EngineError, Overloaded
from voice_verify.engine.features import SAMPLE_RATE
from voice_verify.engine.voice import Quality, Voice, pool

OnUpdate = Callable[[UUID, Voice], None]
OnRestart = Callable[[UUID, float], None]

_NOTHING = Voice(None, 0.0, 0.0, Quality(None, 0.0))


class RemoteStream:
    """An open stream; its owner locks it."""

    def __init__(self, identity: UUID, number: int, on_update: OnUpdate | None, on_restart: OnRestart | None) -> None:
        self.identity = identity
        self.number = number
        self.on_update = on_update
        self.on_restart = on_restart
        self.samples_pushed = 0
        self.samples_lost = 0
        self.closing = False
        self.closed = threading.Event()
        self.failure: EngineError | None = None
        # What processes that are gone have heard, and what the present one has.
        self._before = _NOTHING
        self._now = _NOTHING
        self._voice = _NOTHING

    @property
    def voice(self) -> Voice:
        """All that was heard, whichever process heard it."""
        return self._voice

    @property
    def samples_waiting(self) -> int:
        """What the present process got and has not reported as heard."""
        return self.samples_pushed - round(self._now.audio_s * SAMPLE_RATE)

    def hear(self, voice: Voice) -> None:
        """Take what the present process reports; without an embedding, it is the one that it reported before."""
        if voice.embedding is None:
            if voice.audio_s < self._now.audio_s:
                # Overtaken on its way.
                return
            voice = replace(voice, embedding=self._now.embedding)
        self._now = voice
        self._voice = voice if self._before is _NOTHING else pool([self._before, voice])

    def lose_process(self) -> None:
        """The process is gone, and with it what it had not heard."""
        self.samples_lost += self.samples_waiting
        self._before, self._now = self._voice, _NOTHING
        self.samples_pushed = 0
        if self.closing:
            self.closed.set()

    def take_lost_s(self) -> float:
        """Seconds of audio lost since the last time this was asked."""
        lost, self.samples_lost = self.samples_lost, 0
        return lost / SAMPLE_RATE


class RemoteRecording:
    """A recording under analysis, and the one thread that waits for it."""

    def __init__(self) -> None:
        self._done = threading.Event()
        self._voice: Voice | None = None
        self._failure: EngineError | None = None

    def succeed(self, voice: Voice) -> None:
        self._voice = voice
        self._done.set()

    def fail(self, error: EngineError) -> None:
        self._failure = error
        self._done.set()

    def wait(self, timeout_s: float) -> Voice:
        """Its voice; raises what `fail` was given, and Overloaded when it takes longer than that."""
        self._done.wait(timeout_s)
        if self._failure is not None:
            raise self._failure
        if self._voice is None:
            raise Overloaded("the recording was not analysed in time", hint="try again when less is going on")
        return self._voice
