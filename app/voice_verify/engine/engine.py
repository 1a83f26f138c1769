"""The engine: many live streams, whose work is batched.

One thread hears: voice activity and features of all streams at once. Others embed the seconds of speech that it finds,
so that neither waits for the other when the seconds of many streams are complete at the same moment.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from voice_verify.engine.backlog import Waiting
from voice_verify.engine.busy import Busy
from voice_verify.engine.chunks import ChunkQueue, Queued
from voice_verify.engine.encoding import Block, Encoding, decode_all
from voice_verify.engine.errors import NotRunning, Overloaded, StreamExists, StreamFailed, UnknownStream
from voice_verify.engine.features import SAMPLE_RATE
from voice_verify.engine.limits import MAX_WAITING_CHUNKS, MAX_WAITING_S, MAX_WAITING_TOTAL_S
from voice_verify.engine.live import QUALITY_SAMPLES, LiveStream, OnUpdate
from voice_verify.engine.model import read_model_info
from voice_verify.engine.pipeline import EMBEDDING_BATCH, STEP_SAMPLES, Chunk, Pipeline
from voice_verify.engine.voice import Voice

log = logging.getLogger(__name__)

# Streams push every 20 to 100 ms; gathering for this long makes batches of them.
_GATHER_S = 0.2
# A chunk that is embedded alone costs nearly twice as much as one of a full batch: while there is more to do than one
# batch in this time, batches wait to be full.
_FILL_S = 0.2


Taken = list[tuple[LiveStream, list[Waiting]]]


class Engine:
    """Streams are pushed 8 kHz mono samples from any thread; worker threads keep their voices up to date."""

    def __init__(self, model_dir: Path, *, threads: int = 1) -> None:
        """Load the model; `threads` embed, each a batch of its own. Raises ModelError."""
        self.model = read_model_info(model_dir)
        # Several threads for one small batch would mostly wait for each other.
        self._pipeline = Pipeline(model_dir, self.model, 1)
        self._embedders = threads
        self._lock = threading.Lock()
        self._audio = threading.Condition(self._lock)
        self._speech = threading.Condition(self._lock)
        self._streams: dict[UUID, LiveStream] = {}
        # The streams whose backlog holds something, and the samples in all of them.
        self._ready: dict[UUID, LiveStream] = {}
        self._waiting = 0
        self._chunks: ChunkQueue[LiveStream] = ChunkQueue()
        # When the oldest audio of the step that is being heard arrived.
        self._hearing: float | None = None
        # The last step left some of a backlog.
        self._behind = False
        self._busy_hearing, self._busy_embedding = Busy(1), Busy(threads)
        self._urgent = False
        self._stopping = False
        self._heard_all = False
        # When a batch was taken last.
        self._embedding_since = 0.0
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start the worker threads; does nothing when they run."""
        with self._lock:
            if self._threads:
                return
            self._stopping = self._heard_all = False
            embedding = [threading.Thread(target=self._embed, name="embedding") for _ in range(self._embedders)]
            self._threads = [threading.Thread(target=self._hear, name="hearing"), *embedding]
            for thread in self._threads:
                thread.daemon = True
                thread.start()

    def stop(self) -> None:
        """Process what was pushed, then end the worker threads. Open streams keep their voice and can be closed.

        Not to be called by a listener, which runs in one of them.
        """
        self._must_not_be_worker()
        with self._lock:
            threads = self._threads
            self._stopping = True
            self._audio.notify_all()
        for thread in threads:
            thread.join()
        with self._lock:
            self._threads = []
            for entry in self._streams.values():
                entry.closed.set()

    @property
    def alive(self) -> bool:
        """Whether the worker threads run, so that what is pushed will be heard."""
        threads = self._threads
        return bool(threads) and all(thread.is_alive() for thread in threads)

    @property
    def precision(self) -> str:
        """In which numbers the model is computed."""
        return self._pipeline.precision

    @property
    def cpu_s(self) -> dict[str, float]:
        """Processor time by part: vad, features, embedding."""
        return dict(self._pipeline.cpu_s)

    @property
    def lag_s(self) -> float:
        """How long the oldest audio that is not in its stream's voice yet has waited; 0 when there is none."""
        with self._lock:
            arrivals = [entry.backlog.oldest for entry in self._ready.values()]
            waiting = [at for at in (*arrivals, self._hearing, self._chunks.oldest) if at is not None]
        return max(0.0, time.monotonic() - min(waiting)) if waiting else 0.0

    def take_busy(self) -> float:
        """The share of time, 0 to 1, that the busiest kind of thread worked since this was asked last."""
        return max(self._busy_hearing.share(), self._busy_embedding.share())

    def open_stream(self, stream: UUID, on_update: OnUpdate | None = None) -> None:
        """Open a stream; `on_update` is called from a worker thread after each new second of speech.

        Raises StreamExists and NotRunning.
        """
        with self._lock:
            self._must_run()
            if stream in self._streams:
                raise StreamExists(f"stream {stream} is open already", hint="close it, or choose another identity")
            self._streams[stream] = LiveStream(stream, self._pipeline.new_stream(), on_update)

    def push(self, stream: UUID, samples: NDArray[np.float32]) -> None:
        """Add 8 kHz mono samples in [-1, 1] (n,) to a stream, any number; values beyond are clipped. Never blocks.

        Raises ValueError for another shape or values that are no numbers, and what `push_encoded` raises.
        """
        self.push_encoded(stream, Encoding.float32, _checked(samples), time.monotonic())

    def push_encoded(self, stream: UUID, encoding: Encoding, samples: Block, arrived: float) -> None:
        """Add samples (n,) of an encoding, which came at `arrived` on the monotonic clock. Never blocks.

        Raises Overloaded when too much audio of this stream waits (the samples are then not taken) or the stream had
        to be given up, and UnknownStream, StreamFailed or NotRunning.
        """
        with self._lock:
            self._must_run()
            entry = self._entry(stream)
            if entry.closing:
                raise UnknownStream(f"stream {stream} is being closed")
            if len(entry.backlog) + len(samples) > MAX_WAITING_S * SAMPLE_RATE:
                raise Overloaded(
                    f"stream {stream} has more than {MAX_WAITING_S} s of audio waiting",
                    hint="send audio no faster than it is spoken, or upload the recording instead",
                )
            if (
                self._waiting + len(samples) > MAX_WAITING_TOTAL_S * SAMPLE_RATE
                or len(self._chunks) > MAX_WAITING_CHUNKS
            ):
                self._shed()
            if entry.failure:
                raise entry.failure
            if len(samples) == 0:
                return
            entry.backlog.push(Waiting(arrived, encoding, samples))
            self._waiting += len(samples)
            self._ready[stream] = entry
            # Only the first one wakes the thread that hears, which then gathers for a while.
            if len(self._ready) == 1:
                self._audio.notify()

    def voice(self, stream: UUID) -> Voice:
        """What the stream has given so far. Raises UnknownStream and StreamFailed."""
        with self._lock:
            entry = self._entry(stream)
            if entry.failure:
                raise entry.failure
            return entry.voice

    def close_stream(self, stream: UUID) -> Voice:
        """Process what was pushed, forget the stream and return its last voice; waits for the workers.

        Raises UnknownStream (also when another caller closes it already) and StreamFailed. Not to be called by a
        listener, which runs in a worker thread.
        """
        self._must_not_be_worker()
        with self._lock:
            entry = self._entry(stream)
            if entry.closing:
                raise UnknownStream(f"stream {stream} is being closed")
            entry.closing = True
            self._release([entry])
            running = bool(self._threads)
            if len(entry.backlog):
                self._urgent = True
                self._audio.notify()
            self._speech.notify_all()
        if running:
            entry.closed.wait()
        with self._lock:
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
        if not self._threads or self._stopping:
            raise NotRunning("the engine is not running")

    def _must_not_be_worker(self) -> None:
        if threading.current_thread() in self._threads:
            raise RuntimeError("a listener would wait for itself: close streams and stop the engine elsewhere")

    def _entry(self, stream: UUID) -> LiveStream:
        try:
            return self._streams[stream]
        except KeyError:
            raise UnknownStream(f"no stream {stream} is open") from None

    # What follows runs in the thread that hears.

    def _hear(self) -> None:
        try:
            while (taken := self._gather()) is not None:
                with self._busy_hearing.working():
                    self._advance(taken)
        finally:
            with self._lock:
                self._heard_all = True
                self._speech.notify_all()

    def _gather(self) -> Taken | None:
        """Wait for audio and take a share of every backlog; None when the thread shall end."""
        with self._lock:
            if not self._behind:
                self._audio.wait_for(lambda: self._hurry() or bool(self._ready))
                self._audio.wait_for(self._hurry, timeout=_GATHER_S)
            self._urgent = False
            if self._stopping and not self._ready:
                return None
            self._hearing = min((entry.backlog.oldest or 0.0 for entry in self._ready.values()), default=None)
            taken = [(entry, entry.backlog.take(STEP_SAMPLES)) for entry in self._ready.values()]
            for entry, blocks in taken:
                entry.being_heard = True
                self._waiting -= sum(len(block.samples) for block in blocks)
            self._ready = {entry.identity: entry for entry, _ in taken if len(entry.backlog)}
            self._behind = bool(self._ready)
            return taken

    def _hurry(self) -> bool:
        return self._urgent or self._stopping

    def _advance(self, taken: Taken) -> None:
        if not taken:
            return
        entries = [entry for entry, _ in taken]
        try:
            samples = iter(decode_all([(block.encoding, block.samples) for _, blocks in taken for block in blocks]))
            chunks = self._pipeline.advance([(entry.state, [next(samples) for _ in blocks]) for entry, blocks in taken])
            due = [entry for entry in entries if entry.samples_heard >= entry.quality_due]
            qualities = {entry: entry.state.quality.quality() for entry in due}
        except Exception:
            self._fail(entries)
            chunks, qualities = [], {}
        owners = {id(entry.state): entry for entry in entries}
        arrivals = {entry: blocks[-1].arrived for entry, blocks in taken}
        with self._lock:
            self._hearing = None
            for entry, blocks in taken:
                entry.being_heard = False
                entry.samples_heard += sum(len(block.samples) for block in blocks)
                old = entry.voice
                quality = qualities.get(entry, old.quality)
                entry.voice = Voice(old.embedding, old.net_speech_s, entry.samples_heard / SAMPLE_RATE, quality)
            for entry in qualities:
                entry.quality_due = entry.samples_heard + QUALITY_SAMPLES
            for chunk in chunks:
                owner = owners[id(chunk.stream)]
                self._chunks.put(Queued(owner, chunk, arrivals[owner]))
            self._release(entries)
            if chunks:
                self._speech.notify_all()

    # What follows runs in the threads that embed.

    def _embed(self) -> None:
        while True:
            with self._lock:
                self._speech.wait_for(lambda: self._chunks.is_ready or self._is_over())
                self._speech.wait_for(self._fills_a_batch, self._embedding_since + _FILL_S - time.monotonic())
                batch = self._chunks.take(EMBEDDING_BATCH)
                self._embedding_since = time.monotonic()
                if not batch and self._is_over():
                    return
            # Else another thread was faster.
            if batch:
                with self._busy_embedding.working():
                    self._embed_batch(batch)

    def _is_over(self) -> bool:
        return self._heard_all and not len(self._chunks)

    def _fills_a_batch(self) -> bool:
        """Whether there is no use in waiting for more; who closes a stream waits for its last chunk."""
        closing = any(entry.closing for entry in self._streams.values())
        return len(self._chunks) >= EMBEDDING_BATCH or closing or self._stopping

    def _embed_batch(self, batch: list[Queued[LiveStream]]) -> None:
        entries = list(dict.fromkeys(queued.owner for queued in batch))
        try:
            self._pipeline.embed([queued.chunk for queued in batch])
            voices = [entry.state.voice() for entry in entries]
        except Exception:
            self._fail(entries)
            voices = []
        with self._lock:
            for entry, voice in zip(entries, voices, strict=False):
                # The audio heard so far is the other thread's part.
                heard = entry.voice
                entry.voice = Voice(voice.embedding, voice.net_speech_s, heard.audio_s, heard.quality)
            self._chunks.done(batch)
            if len(self._chunks) or self._heard_all:
                self._speech.notify_all()
        for entry in entries if voices else ():
            self._tell(entry)
        with self._lock:
            self._release(entries)

    def _tell(self, entry: LiveStream) -> None:
        if entry.on_update is not None:
            try:
                entry.on_update(entry.identity, entry.voice)
            except Exception:
                log.exception("the listener of stream %s failed", entry.identity)

    # What follows runs in any of them.

    def _fail(self, entries: Sequence[LiveStream]) -> None:
        log.exception("the audio of %d stream(s) could not be processed", len(entries))
        with self._lock:
            for entry in entries:
                entry.failure = StreamFailed(
                    f"the audio of stream {entry.identity} could not be processed", hint="close it and open another"
                )
                self._forget(entry)

    def _shed(self) -> None:
        """Give up the youngest stream, so that those which have run longer go on; the lock is held."""
        youngest = next((entry for entry in reversed(self._streams.values()) if not entry.failure), None)
        if youngest is not None:
            youngest.failure = Overloaded(
                "the engine cannot keep up with all streams", hint="run fewer streams or more cores"
            )
            self._forget(youngest)

    def _forget(self, entry: LiveStream) -> None:
        """Drop what waits of a stream; the lock is held."""
        self._waiting -= len(entry.backlog)
        entry.backlog.clear()
        self._ready.pop(entry.identity, None)
        self._chunks.drop(entry)

    def _release(self, entries: Sequence[LiveStream]) -> None:
        """Let go of those that are closing and have nothing left to process; the lock is held."""
        for entry in entries:
            busy = len(entry.backlog) or entry.being_heard or self._chunks.has(entry)
            if entry.closing and not busy:
                entry.voice = entry.state.voice()
                entry.closed.set()


def _checked(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """A copy of the samples, clipped to [-1, 1], because the caller may reuse its buffer."""
    block = np.clip(np.asarray(samples, dtype=np.float32), -1.0, 1.0)
    if block.ndim != 1:
        raise ValueError(f"samples must be one-dimensional, not of shape {block.shape}")
    if not np.isfinite(block).all():
        raise ValueError("samples must be numbers: NaN found")
    return block
