"""The engine: many live streams, one worker thread that batches their work."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from voice_verify.engine.backlog import Backlog
from voice_verify.engine.errors import NotRunning, Overloaded, StreamExists, StreamFailed, UnknownStream
from voice_verify.engine.features import SAMPLE_RATE
from voice_verify.engine.model import read_model_info
from voice_verify.engine.pipeline import EMBEDDING_BATCH, STEP_SAMPLES, Chunk, Pipeline
from voice_verify.engine.stream import StreamState
from voice_verify.engine.voice import Voice

log = logging.getLogger(__name__)

Taken = list[tuple["_Stream", list[NDArray[np.float32]]]]
OnUpdate = Callable[[UUID, Voice], None]

MAX_WAITING_S = 30
"""Audio that one stream may have waiting: 1 MB. A live stream never comes near it while the engine keeps up."""
MAX_WAITING_TOTAL_S = 900
"""Audio that all streams together may have waiting: 29 MB, 6 s at 150 streams."""
_MAX_CHUNKS = 1024
# Streams push every 20 to 100 ms; gathering for this long makes batches of them.
_GATHER_S = 0.1


class _Stream:
    """An open stream. Only the worker touches `state` and `chunks_queued`; the engine's lock protects the rest."""

    def __init__(self, identity: UUID, state: StreamState, on_update: OnUpdate | None) -> None:
        self.identity = identity
        self.state = state
        self.backlog = Backlog()
        self.on_update = on_update
        self.voice = state.voice()
        self.chunks_queued = 0
        self.closing = False
        self.closed = threading.Event()
        self.failure: StreamFailed | None = None


class Engine:
    """Streams are pushed 8 kHz mono samples from any thread; a worker thread keeps their voices up to date."""

    def __init__(self, model_dir: Path, *, threads: int = 1) -> None:
        """Load the model; `threads` compute one batch of embeddings together. Raises ModelError."""
        self.model = read_model_info(model_dir)
        self._pipeline = Pipeline(model_dir, self.model, threads)
        self._changed = threading.Condition()
        self._streams: dict[UUID, _Stream] = {}
        # The streams whose backlog holds something, and the samples in all of them.
        self._ready: dict[UUID, _Stream] = {}
        self._waiting = 0
        self._urgent = False
        self._stopping = False
        self._worker: threading.Thread | None = None
        # Only the worker changes these. Behind: the last share left some of a backlog.
        self._behind = False
        self._chunks: deque[tuple[_Stream, Chunk]] = deque()

    def start(self) -> None:
        """Start the worker thread; does nothing when it runs."""
        with self._changed:
            if self._worker is None:
                self._stopping = False
                self._worker = threading.Thread(target=self._work, name="voice-engine", daemon=True)
                self._worker.start()

    def stop(self) -> None:
        """Process what was pushed, then end the worker thread. Open streams keep their voice and can be closed.

        Not to be called by a listener, which runs in that thread.
        """
        self._must_not_be_worker()
        with self._changed:
            worker = self._worker
            self._stopping = True
            self._changed.notify_all()
        if worker is not None:
            worker.join()

    @property
    def alive(self) -> bool:
        """Whether the worker thread runs, so that what is pushed will be heard."""
        worker = self._worker
        return worker is not None and worker.is_alive()

    def open_stream(self, stream: UUID, on_update: OnUpdate | None = None) -> None:
        """Open a stream; `on_update` is called from the worker thread after each new second of speech.

        Raises StreamExists and NotRunning.
        """
        with self._changed:
            self._must_run()
            if stream in self._streams:
                raise StreamExists(f"stream {stream} is open already", hint="close it, or choose another identity")
            self._streams[stream] = _Stream(stream, self._pipeline.new_stream(), on_update)

    def push(self, stream: UUID, samples: NDArray[np.float32]) -> None:
        """Add 8 kHz mono samples in [-1, 1] (n,) to a stream, any number; values beyond are clipped. Never blocks.

        Raises ValueError for another shape or values that are no numbers, Overloaded when too much audio waits (the
        samples are then not taken), and UnknownStream, StreamFailed or NotRunning.
        """
        block = _checked(samples)
        with self._changed:
            self._must_run()
            entry = self._entry(stream)
            if entry.closing:
                raise UnknownStream(f"stream {stream} is being closed")
            if entry.failure:
                raise entry.failure
            if len(entry.backlog) + len(block) > MAX_WAITING_S * SAMPLE_RATE:
                raise Overloaded(
                    f"stream {stream} has more than {MAX_WAITING_S} s of audio waiting",
                    hint="send audio no faster than it is spoken, or upload the recording instead",
                )
            if self._waiting + len(block) > MAX_WAITING_TOTAL_S * SAMPLE_RATE or len(self._chunks) > _MAX_CHUNKS:
                raise Overloaded("the engine cannot keep up with all streams", hint="run fewer streams or more cores")
            if len(block) == 0:
                return
            entry.backlog.push(block)
            self._waiting += len(block)
            self._ready[stream] = entry
            # Only the first one wakes the worker, which then gathers for a while.
            if len(self._ready) == 1:
                self._changed.notify_all()

    def voice(self, stream: UUID) -> Voice:
        """What the stream has given so far. Raises UnknownStream and StreamFailed."""
        with self._changed:
            entry = self._entry(stream)
            if entry.failure:
                raise entry.failure
            return entry.voice

    def close_stream(self, stream: UUID) -> Voice:
        """Process what was pushed, forget the stream and return its last voice; waits for the worker.

        Raises UnknownStream (also when another caller closes it already) and StreamFailed. Not to be called by a
        listener, which runs in the worker thread.
        """
        self._must_not_be_worker()
        with self._changed:
            entry = self._entry(stream)
            if entry.closing:
                raise UnknownStream(f"stream {stream} is being closed")
            entry.closing = True
            running = self._worker is not None
            self._urgent = True
            self._changed.notify_all()
        if running:
            entry.closed.wait()
        with self._changed:
            self._streams.pop(stream, None)
        if entry.failure:
            raise entry.failure
        return entry.voice

    def analyse(self, samples: NDArray[np.float32]) -> Voice:
        """The voice of a whole recording, 8 kHz mono in [-1, 1] (n,), by the very steps that a stream takes.

        Computed in the calling thread, so that a long recording never delays the streams. Raises ValueError like push.
        """
        state = self._pipeline.new_stream()
        block = _checked(samples)
        chunks: list[Chunk] = []
        for start in range(0, len(block), STEP_SAMPLES):
            chunks += self._pipeline.advance([(state, [block[start : start + STEP_SAMPLES]])])
            while len(chunks) >= EMBEDDING_BATCH:
                self._pipeline.embed(chunks[:EMBEDDING_BATCH])
                del chunks[:EMBEDDING_BATCH]
        if chunks:
            self._pipeline.embed(chunks)
        return state.voice()

    def _must_run(self) -> None:
        if self._worker is None or self._stopping:
            raise NotRunning("the engine is not running")

    def _must_not_be_worker(self) -> None:
        if threading.current_thread() is self._worker:
            raise RuntimeError("a listener would wait for itself: close streams and stop the engine elsewhere")

    def _entry(self, stream: UUID) -> _Stream:
        try:
            return self._streams[stream]
        except KeyError:
            raise UnknownStream(f"no stream {stream} is open") from None

    # What follows runs in the worker thread.

    def _work(self) -> None:
        try:
            while (taken := self._gather()) is not None:
                self._advance(taken)
                self._embed()
                self._finish()
        finally:
            with self._changed:
                self._worker = None
                for entry in self._streams.values():
                    entry.closed.set()

    def _gather(self) -> Taken | None:
        """Wait for audio and take a share of every backlog; None when the worker shall end."""
        with self._changed:
            if not (self._chunks or self._behind):
                self._changed.wait_for(lambda: self._hurry() or bool(self._ready))
                self._changed.wait_for(self._hurry, timeout=_GATHER_S)
            self._urgent = False
            if self._stopping and not self._ready and not self._chunks:
                return None
            taken = [(entry, entry.backlog.take(STEP_SAMPLES)) for entry in self._ready.values()]
            self._waiting -= sum(len(block) for _, blocks in taken for block in blocks)
            self._ready = {entry.identity: entry for entry, _ in taken if len(entry.backlog)}
            self._behind = bool(self._ready)
            return taken

    def _hurry(self) -> bool:
        return self._urgent or self._stopping

    def _advance(self, taken: Taken) -> None:
        if not taken:
            return
        owners = {id(entry.state): entry for entry, _ in taken}
        try:
            chunks = self._pipeline.advance([(entry.state, blocks) for entry, blocks in taken])
        except Exception:
            self._fail([entry for entry, _ in taken])
            return
        for chunk in chunks:
            owner = owners[id(chunk.stream)]
            owner.chunks_queued += 1
            self._chunks.append((owner, chunk))
        for entry, _ in taken:
            entry.voice = entry.state.voice()

    def _embed(self) -> None:
        """One batch of chunks: between two batches the streams that speak are heard again."""
        batch = [self._chunks.popleft() for _ in range(min(EMBEDDING_BATCH, len(self._chunks)))]
        if not batch:
            return
        entries = list({entry.identity: entry for entry, _ in batch}.values())
        try:
            self._pipeline.embed([chunk for _, chunk in batch])
        except Exception:
            self._fail(entries)
            return
        finally:
            for entry, _ in batch:
                entry.chunks_queued -= 1
        for entry in entries:
            entry.voice = entry.state.voice()
            if entry.on_update is not None:
                try:
                    entry.on_update(entry.identity, entry.voice)
                except Exception:
                    log.exception("the listener of stream %s failed", entry.identity)

    def _fail(self, entries: list[_Stream]) -> None:
        log.exception("the audio of %d stream(s) could not be processed", len(entries))
        with self._changed:
            for entry in entries:
                entry.failure = StreamFailed(
                    f"the audio of stream {entry.identity} could not be processed", hint="close it and open another"
                )
                self._waiting -= len(entry.backlog)
                entry.backlog.clear()
                self._ready.pop(entry.identity, None)

    def _finish(self) -> None:
        """Let go of the streams that are closing and have nothing left to process."""
        with self._changed:
            for entry in self._streams.values():
                if entry.closing and not entry.closed.is_set():
                    if len(entry.backlog) or entry.chunks_queued:
                        self._urgent = True
                    else:
                        entry.closed.set()


def _checked(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """A copy of the samples, clipped to [-1, 1], because the caller may reuse its buffer."""
    block = np.clip(np.asarray(samples, dtype=np.float32), -1.0, 1.0)
    if block.ndim != 1:
        raise ValueError(f"samples must be one-dimensional, not of shape {block.shape}")
    if not np.isfinite(block).all():
        raise ValueError("samples must be numbers: NaN found")
    return block
