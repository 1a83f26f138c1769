"""From samples to embeddings for many streams at once: VAD, features and chunks are batched across them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from voice_verify.engine.features import BINS, FRAME_LENGTH, SAMPLE_RATE, log_mel
from voice_verify.engine.framing import Framing, Taken
from voice_verify.engine.model import EmbeddingNetwork, ModelInfo, Precision, VadNetwork
from voice_verify.engine.quality import CLIP_LEVEL, measure
from voice_verify.engine.stream import StreamState

SPEECH_THRESHOLD = 0.5
EMBEDDING_BATCH = 8
"""Beyond 8 chunks a batch gains nothing on one core, and other streams wait longer."""
STEP_SAMPLES = SAMPLE_RATE
"""What one stream may have processed at a time, so that a long backlog does not hold up the others."""


class Chunk(NamedTuple):
    """Mean-subtracted features (100, 80) of a second of speech of one stream."""

    stream: StreamState
    features: NDArray[np.float32]


class Pipeline:
    """The networks and the steps; it holds no streams, so several threads may use one."""

    def __init__(self, model_dir: Path, info: ModelInfo, threads: int, *, fp32: bool = False) -> None:
        """`fp32` leaves int8 aside, for comparison. Raises ModelError."""
        self._embedding = EmbeddingNetwork(model_dir, threads, fp32=fp32)
        self._vad = VadNetwork(model_dir)
        self._dimensions = info.dimensions
        self.cpu_s = {"vad": 0.0, "features": 0.0, "embedding": 0.0}
        """Processor time of the calling threads by part, since the start."""
        self._counting = threading.Lock()

    @property
    def precision(self) -> Precision:
        """What the embeddings are computed in: int8, or fp32 where int8 failed its self-test."""
        return self._embedding.precision

    def new_stream(self) -> StreamState:
        return StreamState(self._dimensions)

    def advance(self, taken: Taken) -> list[Chunk]:
        """Process the blocks taken from each stream; the chunks of speech that are whole now."""
        if not taken:
            return []
        framing = Framing(taken)
        with self._counted("vad"):
            probabilities = self._probabilities(framing)
        with self._counted("features"):
            owners, windows, starts = framing.frames()
            features, owners = self._features(framing, owners, starts, probabilities[owners, windows])
            framing.finish()
            bounds = np.searchsorted(owners, np.arange(len(taken) + 1)).tolist()
            return [
                Chunk(stream, chunk)
                for stream, (start, end) in zip(framing.streams, pairwise(bounds), strict=True)
                if start < end
                for chunk in stream.absorb(features[start:end])
            ]

    def embed(self, chunks: Sequence[Chunk]) -> None:
        """Embed at most EMBEDDING_BATCH chunks and add each to its stream."""
        with self._counted("embedding"):
            embeddings = self._embedding.embed(np.stack([chunk.features for chunk in chunks]))
        for chunk, embedding in zip(chunks, embeddings, strict=True):
            chunk.stream.add_embedding(embedding)

    def _probabilities(self, framing: Framing) -> NDArray[np.float32]:
        """Probability of speech (streams, 1 + windows): of the last window before and of each window now.

        The n-th windows of all streams are one batch. The streams keep their new state.
        """
        # Most windows first: the streams with an n-th window are then always the first ones.
        order = np.argsort(-framing.window_counts, kind="stable")
        counts = framing.window_counts[order]
        streams = [framing.streams[index] for index in order.tolist()]
        states = np.stack([stream.vad_state for stream in streams])
        results = np.empty((len(streams), 1 + int(counts[0])), np.float32)
        results[:, 0] = [stream.probability for stream in framing.streams]
        for number in range(int(counts[0])):
            batch = order[: np.count_nonzero(counts > number)]
            speech, states[: len(batch)] = self._vad.speech(framing.windows(batch, number), states[: len(batch)])
            results[batch, number + 1] = speech
        last = results[order, counts].tolist()
        for stream, state, probability in zip(streams, states, last, strict=True):
            stream.vad_state, stream.probability = state.copy(), probability
        return results

    def _features(
        self,
        framing: Framing,
        owners: NDArray[np.int64],
        starts: NDArray[np.int64],
        probabilities: NDArray[np.float32],
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Features of the frames of speech (n, 80) and the number of their streams (n,); quality of all frames."""
        if len(starts) == 0:
            return np.empty((0, BINS), np.float32), owners
        frames = sliding_window_view(framing.audio, FRAME_LENGTH)[starts]
        frames -= frames.mean(axis=1, keepdims=True)
        powers = np.einsum("ij,ij->i", frames, frames) / np.float32(FRAME_LENGTH)
        clips = np.concatenate([[0], np.cumsum(np.abs(framing.audio) >= CLIP_LEVEL)])
        clipped = ((clips[starts + FRAME_LENGTH] - clips[starts]) / FRAME_LENGTH).astype(np.float32)
        voiced = probabilities > SPEECH_THRESHOLD
        measure([stream.quality for stream in framing.streams], owners, powers, clipped, voiced)
        return log_mel(frames[voiced]), owners[voiced]

    @contextmanager
    def _counted(self, part: str) -> Iterator[None]:
        start = time.thread_time()
        yield
        used = time.thread_time() - start
        with self._counting:
            self.cpu_s[part] += used
