"""From samples to embeddings for many streams at once: VAD, features and chunks are batched across them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from voice_verify.engine.features import SAMPLE_RATE, log_mel
from voice_verify.engine.model import EmbeddingNetwork, ModelInfo, Precision, VadNetwork
from voice_verify.engine.quality import CLIP_LEVEL
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

    @property
    def precision(self) -> Precision:
        """What the embeddings are computed in: int8, or fp32 where int8 failed its self-test."""
        return self._embedding.precision

    def new_stream(self) -> StreamState:
        return StreamState(self._dimensions)

    def advance(self, taken: Sequence[tuple[StreamState, list[NDArray[np.float32]]]]) -> list[Chunk]:
        """Process the blocks taken from each stream; the chunks of speech that are whole now."""
        streams = [stream for stream, _ in taken]
        windows = [stream.windows(blocks) for stream, blocks in taken]
        parts = [
            stream.frames(probabilities)
            for stream, probabilities in zip(streams, self._probabilities(streams, windows), strict=True)
        ]
        frames = np.concatenate([part[0] for part in parts])
        probabilities = np.concatenate([part[1] for part in parts])
        if len(frames) == 0:
            return []
        clipped = (np.abs(frames) >= CLIP_LEVEL).mean(axis=1, dtype=np.float32)
        centred = frames - frames.mean(axis=1, keepdims=True)
        powers = np.einsum("ij,ij->i", centred, centred) / np.float32(centred.shape[1])
        voiced = probabilities > SPEECH_THRESHOLD
        features = log_mel(centred[voiced])
        chunks: list[Chunk] = []
        start = speech_start = 0
        for stream, (_, own) in zip(streams, parts, strict=True):
            end = start + len(own)
            here = slice(start, end)
            speech_end = speech_start + int(voiced[here].sum())
            whole = stream.absorb(features[speech_start:speech_end], powers[here], clipped[here], voiced[here])
            chunks += [Chunk(stream, chunk) for chunk in whole]
            start, speech_start = end, speech_end
        return chunks

    def embed(self, chunks: Sequence[Chunk]) -> None:
        """Embed at most EMBEDDING_BATCH chunks and add each to its stream."""
        embeddings = self._embedding.embed(np.stack([chunk.features for chunk in chunks]))
        for chunk, embedding in zip(chunks, embeddings, strict=True):
            chunk.stream.add_embedding(embedding)

    def _probabilities(
        self, streams: Sequence[StreamState], windows: Sequence[NDArray[np.float32]]
    ) -> list[NDArray[np.float32]]:
        """Probability of speech of each window of each stream: the n-th windows of all streams are one batch."""
        results = [np.empty(len(own), np.float32) for own in windows]
        # Longest first: the streams with an n-th window are then always the first ones.
        order = sorted(range(len(streams)), key=lambda index: -len(windows[index]))
        states = np.stack([streams[index].vad_state for index in order])
        for step in range(len(windows[order[0]]) if order else 0):
            batch = [index for index in order if len(windows[index]) > step]
            count = len(batch)
            inputs = np.stack([windows[index][step] for index in batch])
            speech, states[:count] = self._vad.speech(inputs, states[:count])
            for row, index in enumerate(batch):
                results[index][step] = speech[row]
        for row, index in enumerate(order):
            streams[index].vad_state = states[row].copy()
        return results
