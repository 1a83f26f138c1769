"""The engine in a process of its own, for the process that serves the API: the methods of `Engine`, and supervision."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from voice_verify.engine import protocol
from voice_verify.engine.child import Child, ConnectionLost
from voice_verify.engine.encoding import ITEM_BYTES, Encoding
from voice_verify.engine.errors import (
    EngineError,
    EngineRestarted,
    NotRunning,
    Overloaded,
    StreamExists,
    UnknownStream,
)
from voice_verify.engine.features import SAMPLE_RATE
from voice_verify.engine.limits import MAX_WAITING_S
from voice_verify.engine.model import read_model_info
from voice_verify.engine.protocol import Kind, Message, Status
from voice_verify.engine.remote import OnRestart, OnUpdate, RemoteRecording, RemoteStream
from voice_verify.engine.voice import Voice

News = TypeVar("News")

log = logging.getLogger(__name__)

# An emulated machine takes minutes to load Python and the model.
START_S = 300.0
# The process reports every second; without a report for that long it hangs.
HANG_S = 10.0
_POLL_S = 0.2
# What a close may take: a hanging engine is noticed meanwhile.
_CLOSE_S = HANG_S + 5
# Analysis takes a hundredth of the recording's length, on an emulated machine up to twice the length.
_ANALYSIS_S, _ANALYSIS_FACTOR = 60.0, 5.0

# With the last death this many within that time, it will hardly be different the next time.
_DEATHS, _DEATHS_WITHIN_S = 3, 60.0
_PAUSES_S = (0.0, 1.0, 5.0)

# Beyond this lag, for that long, no more streams are taken: those that run would suffer.
OVERLOAD_LAG_S = 1.0
OVERLOAD_FOR_S = 2.0


class EngineClient:
    """Starts the engine process, starts it again when it dies, and lets its streams go on in the new one.

    Safe to use from many threads. Listeners are called from a thread of its own and must not wait.
    """

    def __init__(self, model_dir: Path, *, threads: int = 1) -> None:
        """Check the model; `threads` embed. Raises ModelError."""
        self.model = read_model_info(model_dir)
        self.restarts = 0
        self.precision = ""
        self._model_dir = model_dir
        self._threads = threads
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._streams: dict[UUID, RemoteStream] = {}
        self._by_number: dict[int, RemoteStream] = {}
        self._recordings: dict[int, RemoteRecording] = {}
        # None until it has said that it is ready.
        self._child: Child | None = None
        self._stopping = threading.Event()
        # Ready, or unlikely to become so.
        self._settled = threading.Event()
        self._supervisor: threading.Thread | None = None
        self._deaths: deque[float] = deque(maxlen=_DEATHS)
        self._last_death = ""
        self._status = Status()
        self._reported = time.monotonic()
        self._ended = Status()
        self._behind_since: float | None = None
        self._samples_received = 0

    def start(self) -> None:
        """Start the process and wait until it is ready, or has died so often that `problem` says so."""
        if self._supervisor is not None:
            return
        self._supervisor = threading.Thread(target=self._supervise, name="engine", daemon=True)
        self._supervisor.start()
        self._settled.wait(START_S)

    def stop(self) -> None:
        """End the process. Open streams keep their voice and can be closed. Not to be called by a listener."""
        self._must_not_be_supervisor()
        self._stopping.set()
        if self._supervisor is not None:
            self._supervisor.join()

    @property
    def alive(self) -> bool:
        """Whether the process runs and has loaded its model."""
        return self._child is not None

    @property
    def pid(self) -> int | None:
        """The number of the process while it is alive."""
        child = self._child
        return None if child is None else child.pid

    @property
    def problem(self) -> str | None:
        """Why there is no engine now, and what to do; None when there is one."""
        if self.alive:
            return None
        if self._often_dead():
            return (
                f"its process ended {_DEATHS} times within a minute, the last time because {self._last_death}: "
                "see the log; it is started again every few seconds"
            )
        return "its process is starting: wait a moment"

    @property
    def status(self) -> Status:
        """What the process reported last; processor time is that of all processes since the start."""
        status, ended = self._status, self._ended
        return replace(
            status,
            cpu_vad_s=status.cpu_vad_s + ended.cpu_vad_s,
            cpu_features_s=status.cpu_features_s + ended.cpu_features_s,
            cpu_embedding_s=status.cpu_embedding_s + ended.cpu_embedding_s,
            cpu_other_s=status.cpu_other_s + ended.cpu_other_s,
        )

    @property
    def received_s(self) -> float:
        """Seconds of audio taken from all streams since the start."""
        return self._samples_received / SAMPLE_RATE

    @property
    def lag_s(self) -> float:
        """Age of the oldest audio that is not in its stream's voice yet, wherever it waits; 0 without an engine."""
        child = self._child
        if child is None:
            return 0.0
        # A report that is overdue says that the process is behind, too.
        overdue = time.monotonic() - self._reported - 2.0
        return max(self._status.lag_s, overdue, child.unsent_s, 0.0)

    @property
    def overloaded(self) -> bool:
        """Whether the engine has been behind for so long that it should get no more streams."""
        since = self._behind_since
        return since is not None and time.monotonic() - since >= OVERLOAD_FOR_S

    def open_stream(self, stream: UUID, on_update: OnUpdate | None = None, on_restart: OnRestart | None = None) -> None:
        """Open a stream.

        `on_update` gets the voice after each new second of speech; `on_restart` the seconds of audio that were lost
        when the process was replaced, after which the stream goes on. Raises StreamExists, Overloaded and NotRunning.
        """
        if self.overloaded:
            raise Overloaded(f"the engine is {self.lag_s:.1f} s behind", hint="try again in a moment")
        with self._lock:
            child = self._running()
            if stream in self._streams:
                raise StreamExists(f"stream {stream} is open already", hint="close it, or choose another identity")
            entry = RemoteStream(stream, next(self._numbers), on_update, on_restart)
            self._streams[stream] = self._by_number[entry.number] = entry
            child.send(protocol.pack(Kind.open, entry.number))

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
            child.send(protocol.pack(Kind.audio, entry.number, samples, code=encoding))

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
                self._child.send(protocol.pack(Kind.close, entry.number))
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
        if threading.current_thread() is self._supervisor:
            raise RuntimeError("a listener would wait for itself: do this elsewhere")

    def _often_dead(self) -> bool:
        return len(self._deaths) == _DEATHS and time.monotonic() - self._deaths[0] < _DEATHS_WITHIN_S + _PAUSES_S[-1]

    # What follows runs in the supervising thread.

    def _supervise(self) -> None:
        while not self._stopping.is_set():
            try:
                self._last_death = self._run()
            except OSError as error:
                self._last_death = f"it could not be started ({error.strerror})"
            if self._stopping.is_set():
                return
            log.error("the engine's process ended because %s", self._last_death)
            self.restarts += 1
            now = time.monotonic()
            self._deaths.append(now)
            recent = sum(now - death < _DEATHS_WITHIN_S for death in self._deaths)
            if recent == _DEATHS:
                self._settled.set()
            self._stopping.wait(_PAUSES_S[recent - 1])

    def _run(self) -> str:
        """One life of the process; returns why it ended."""
        child = Child(self._model_dir, self._threads)
        reason = ""
        try:
            reason = self._follow(child)
        except (ConnectionLost, protocol.ProtocolError) as error:
            reason = str(error)
        finally:
            with self._lock:
                self._child = None
            status = child.end() if self._stopping.is_set() else child.kill()
            self._mourn()
        return f"{reason} (exit status {status})"

    def _follow(self, child: Child) -> str:
        deadline = time.monotonic() + START_S
        while not self._stopping.is_set():
            for message in child.receive(_POLL_S):
                match message.kind:
                    case Kind.ready:
                        self._welcome(child, protocol.unpack_ready(message.content))
                    case Kind.status:
                        self._status = protocol.unpack_status(message.content)
                    case _:
                        self._take(message)
                        continue
                self._reported = time.monotonic()
                deadline = self._reported + HANG_S
            self._watch_lag()
            if time.monotonic() > deadline:
                return "it said nothing for too long"
        return "the service stops"

    def _watch_lag(self) -> None:
        if self.lag_s <= OVERLOAD_LAG_S:
            self._behind_since = None
        elif self._behind_since is None:
            self._behind_since = time.monotonic()

    def _welcome(self, child: Child, ready: protocol.Ready) -> None:
        """The process has its model: it gets the streams that were open in the one before."""
        if ready.model_identity != self.model.identity:
            raise ConnectionLost("the model on disk is another one now: restart the service")
        self.precision = ready.precision
        with self._lock:
            self._child = child
            again = [entry for entry in self._streams.values() if not entry.closing and entry.failure is None]
            for entry in again:
                child.send(protocol.pack(Kind.open, entry.number))
            lost = [(entry, entry.take_lost_s()) for entry in again]
        log.info("the engine is ready", extra={"fields": {"precision": ready.precision, "streams": len(again)}})
        self._settled.set()
        for entry, lost_s in lost:
            _call(entry.on_restart, entry.identity, lost_s)

    def _mourn(self) -> None:
        """Keep what the streams heard so far, and let go of everyone who waits for the process."""
        ended, self._status = self.status, Status()
        self._ended = ended
        self._behind_since = None
        with self._lock:
            for entry in self._streams.values():
                entry.lose_process()
            recordings = list(self._recordings.values())
        for recording in recordings:
            recording.fail(EngineRestarted("the engine was restarted meanwhile", hint="send the request again"))

    def _take(self, message: Message) -> None:
        with self._lock:
            entry = self._by_number.get(message.number)
            recording = self._recordings.get(message.number)
            if entry is not None:
                match message.kind:
                    case Kind.voice | Kind.closed:
                        entry.hear(protocol.unpack_voice(message.content))
                    case Kind.failed:
                        entry.failure = protocol.unpack_failure(message)
            is_new = message.kind is Kind.voice and protocol.has_embedding(message.content)
        if entry is not None:
            if message.kind is not Kind.voice:
                entry.closed.set()
            elif is_new:
                _call(entry.on_update, entry.identity, entry.voice)
        elif recording is not None:
            if message.kind is Kind.analysed:
                recording.succeed(protocol.unpack_voice(message.content))
            else:
                recording.fail(protocol.unpack_failure(message))
        elif message.kind is Kind.failed and message.number == 0:
            error: EngineError = protocol.unpack_failure(message)
            raise ConnectionLost(error.message)


def _call(listener: Callable[[UUID, News], None] | None, stream: UUID, news: News) -> None:
    if listener is not None:
        try:
            listener(stream, news)
        except Exception:
            log.exception("the listener of stream %s failed", stream)
