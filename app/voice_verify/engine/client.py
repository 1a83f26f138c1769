"""The engine in a process of its own, for the process that serves the API: the methods of `Engine`, and supervision."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from voice_verify.engine import protocol
from voice_verify.engine.child import Child
from voice_verify.engine.encoding import ITEM_BYTES, Encoding
from voice_verify.engine.errors import EngineRestarted, NotRunning, Overloaded, StreamExists, UnknownStream
from voice_verify.engine.features import SAMPLE_RATE
from voice_verify.engine.limits import MAX_WAITING_S
from voice_verify.engine.model import read_model_info
from voice_verify.engine.protocol import Kind, Message, Status
from voice_verify.engine.remote import OnRestart, OnUpdate, RemoteRecording, RemoteStream
from voice_verify.engine.supervisor import Supervisor
from voice_verify.engine.voice import Voice
from voice_verify.processes.child import ConnectionLost
from voice_verify.processes.supervisor import HANG_S
from voice_verify.processes.wire import pack

News = TypeVar("News")

log = logging.getLogger(__name__)

# What a close may take: a hanging engine is noticed meanwhile.
_CLOSE_S = HANG_S + 5
# Analysis takes a hundredth of the recording's length, on an emulated machine up to twice the length.
_ANALYSIS_S, _ANALYSIS_FACTOR = 60.0, 5.0


class EngineClient:
    """Starts the engine process, starts it again when it dies, and lets its streams go on in the new one.

    Safe to use from many threads. Listeners are called from a thread of its own and must not wait.
    """

    def __init__(self, model_dir: Path, *, threads: int = 1) -> None:
        """Check the model; `threads` embed. Raises ModelError."""
        self.model = read_model_info(model_dir)
        self._supervisor = Supervisor(model_dir, threads, identity=self.model.identity, tenant=self)
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._streams: dict[UUID, RemoteStream] = {}
        self._by_number: dict[int, RemoteStream] = {}
        self._recordings: dict[int, RemoteRecording] = {}
        self._samples_received = 0
        # The process, while it is ready.
        self._child: Child | None = None

    def start(self) -> None:
        """Start the process and wait until it is ready, or has died so often that `problem` says so."""
        self._supervisor.start()

    def stop(self) -> None:
        """End the process. Open streams keep their voice and can be closed. Not to be called by a listener."""
        self._must_not_be_supervisor()
        self._supervisor.stop()

    @property
    def alive(self) -> bool:
        """Whether the process runs and has loaded its model."""
        return self._supervisor.alive

    @property
    def problem(self) -> str | None:
        """Why there is no engine now, and what to do; None when there is one."""
        return self._supervisor.problem

    @property
    def is_failing(self) -> bool:
        """Whether its process has died so often that it will hardly become ready."""
        return self._supervisor.is_failing

    @property
    def precision(self) -> str:
        """In which numbers the model is computed; empty until that is known."""
        return self._supervisor.precision

    @property
    def restarts(self) -> int:
        """How often the process was replaced."""
        return self._supervisor.restarts

    @property
    def status(self) -> Status:
        """What the process reported last; processor time is that of all processes since the start."""
        return self._supervisor.status

    @property
    def lag_s(self) -> float:
        """Age of the oldest audio that is not in its stream's voice yet, wherever it waits; 0 without an engine."""
        return self._supervisor.lag_s

    @property
    def received_s(self) -> float:
        """Seconds of audio taken from all streams since the start."""
        return self._samples_received / SAMPLE_RATE

    def open_stream(self, stream: UUID, on_update: OnUpdate | None = None, on_restart: OnRestart | None = None) -> None:
        """Open a stream.

        `on_update` gets the voice after each new second of speech; `on_restart` the seconds of audio that were lost
        when the process was replaced, after which the stream goes on. Raises StreamExists, Overloaded and NotRunning.
        """
        if refusal := self._supervisor.refusal:
            raise Overloaded(f"the engine {refusal}", hint="try again in a moment")
        with self._lock:
            child = self._running()
            if stream in self._streams:
                raise StreamExists(f"stream {stream} is open already", hint="close it, or choose another identity")
            entry = RemoteStream(stream, next(self._numbers), on_update, on_restart)
            self._streams[stream] = self._by_number[entry.number] = entry
            child.send(pack(Kind.open, entry.number))

    def push(self, stream: UUID, encoding: Encoding, samples: bytes) -> None:
        """Add 8 kHz mono audio to a stream, any number of whole samples. Never blocks.

        While the process is being replaced the audio is lost, which `on_restart` tells. Raises Overloaded when too
        much audio waits (the samples are then not taken), UnknownStream, StreamFailed, and NotRunning when there has
        been no engine for long.
        """
        count = len(samples) // ITEM_BYTES[encoding]
        with self._lock:
            entry = self._entry(stream)
            if entry.failure is not None:
                raise entry.failure
            self._samples_received += count
            child = self._child
            if child is None:
                entry.samples_lost += count
                if entry.samples_lost > MAX_WAITING_S * SAMPLE_RATE:
                    raise NotRunning("there is no engine", hint="try again when the service is ready")
                return
            if entry.samples_waiting + count > MAX_WAITING_S * SAMPLE_RATE:
                raise Overloaded(
                    f"stream {stream} has more than {MAX_WAITING_S} s of audio waiting",
                    hint="send audio no faster than it is spoken, or upload the recording instead",
                )
            if child.is_full:
                raise Overloaded("the engine cannot keep up with all streams", hint="run fewer streams or more cores")
            entry.samples_pushed += count
            child.send(pack(Kind.audio, entry.number, samples, code=encoding))

    def voice(self, stream: UUID) -> Voice:
        """What the stream has given so far, in all processes. Raises UnknownStream and StreamFailed or Overloaded."""
        with self._lock:
            entry = self._entry(stream)
            if entry.failure is not None:
                raise entry.failure
            return entry.voice

    def close_stream(self, stream: UUID) -> Voice:
        """Let the engine process what was pushed, forget the stream and return its last voice.

        Without an engine that is the voice heard before it died. Raises UnknownStream (also when another caller closes
        it already), StreamFailed and Overloaded. Not to be called by a listener.
        """
        self._must_not_be_supervisor()
        with self._lock:
            entry = self._entry(stream)
            if entry.closing:
                raise UnknownStream(f"stream {stream} is being closed")
            entry.closing = True
            if self._child is None:
                entry.closed.set()
            else:
                self._child.send(pack(Kind.close, entry.number))
        if not entry.closed.wait(_CLOSE_S):
            log.error("the engine did not close a stream", extra={"fields": {"stream": str(stream)}})
        with self._lock:
            self._streams.pop(stream, None)
            self._by_number.pop(entry.number, None)
        if entry.failure is not None:
            raise entry.failure
        return entry.voice

    def analyse(self, samples: NDArray[np.float32]) -> Voice:
        """The voice of a whole recording, 8 kHz mono in [-1, 1] (n,); the streams go first.

        Raises EngineRestarted when the process ends meanwhile, NotRunning, StreamFailed, and Overloaded when it takes
        far too long.
        """
        self._must_not_be_supervisor()
        block = np.ascontiguousarray(samples, Encoding.float32.dtype)
        with self._lock:
            child = self._running()
            number = next(self._numbers)
            recording = self._recordings[number] = RemoteRecording()
            child.send_recording(number, block.view(np.uint8).data)
        try:
            return recording.wait(_ANALYSIS_S + _ANALYSIS_FACTOR * len(block) / SAMPLE_RATE)
        finally:
            with self._lock:
                self._recordings.pop(number, None)

    def _running(self) -> Child:
        if self._child is None:
            raise NotRunning("the engine is not running", hint="try again when the service is ready")
        return self._child

    def _entry(self, stream: UUID) -> RemoteStream:
        try:
            return self._streams[stream]
        except KeyError:
            raise UnknownStream(f"no stream {stream} is open") from None

    def _must_not_be_supervisor(self) -> None:
        if self._supervisor.is_current_thread:
            raise RuntimeError("a listener would wait for itself: do this elsewhere")

    # What follows is called by the supervisor.

    def moved_in(self, child: Child) -> None:
        """There is a process: it gets the streams that were open in the one before."""
        with self._lock:
            self._child = child
            again = [entry for entry in self._streams.values() if not entry.closing and entry.failure is None]
            for entry in again:
                child.send(pack(Kind.open, entry.number))
            lost = [(entry, entry.take_lost_s()) for entry in again]
        for entry, lost_s in lost:
            _call(entry.on_restart, entry.identity, lost_s)

    def lost(self) -> None:
        """The process is gone: keep what the streams heard so far, and let go of everyone who waits for it."""
        with self._lock:
            self._child = None
            for entry in self._streams.values():
                entry.lose_process()
            recordings = list(self._recordings.values())
        for recording in recordings:
            recording.fail(EngineRestarted("the engine was restarted meanwhile", hint="send the request again"))

    def told(self, message: Message) -> None:
        """It has news of a stream or a recording."""
        with self._lock:
            entry = self._by_number.get(message.number)
            recording = self._recordings.get(message.number)
        if entry is not None:
            self._told_of_stream(entry, message)
        elif recording is not None:
            if message.kind is Kind.analysed:
                recording.succeed(protocol.unpack_voice(message.content))
            else:
                recording.fail(protocol.unpack_failure(message))
        elif message.kind is Kind.failed and message.number == 0:
            raise ConnectionLost(protocol.unpack_failure(message).message)

    def _told_of_stream(self, entry: RemoteStream, message: Message) -> None:
        with self._lock:
            if message.kind is Kind.failed:
                entry.failure = protocol.unpack_failure(message)
            else:
                entry.hear(protocol.unpack_voice(message.content))
        if message.kind is not Kind.voice:
            entry.closed.set()
        elif protocol.has_embedding(message.content):
            _call(entry.on_update, entry.identity, entry.voice)


def _call(listener: Callable[[UUID, News], None] | None, stream: UUID, news: News) -> None:
    if listener is not None:
        try:
            listener(stream, news)
        except Exception:
            log.exception("the listener of stream %s failed", stream)
