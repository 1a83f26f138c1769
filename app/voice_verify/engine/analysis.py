"""Whole recordings second by second: the embeddings that a calibration is fitted on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voice_verify.engine.model import read_model_info
from voice_verify.engine.pipeline import EMBEDDING_BATCH, STEP_SAMPLES, Chunk, Pipeline
from voice_verify.engine.stream import StreamState
from voice_verify.engine.voice import Quality


@dataclass(frozen=True)
class Analysis:
    """`embeddings`: (n, 192) float32, L2-normalised, one for each whole second of speech in the order spoken.

    Their normalised mean is the embedding of `Voice`. `audio_s` counts all audio; `quality` is that of all of it.
    """

    embeddings: NDArray[np.float32]
    audio_s: float
    quality: Quality


class Analyser:
    """The engine's own steps in the calling thread; several threads may use one."""

    def __init__(self, model_dir: Path, *, fp32: bool = False) -> None:
        """Computes as the service does on this processor, or in `fp32` for comparison. Raises ModelError."""
        self.model = read_model_info(model_dir)
        self._pipeline = Pipeline(model_dir, self.model, 1, fp32=fp32)
        self.precision = self._pipeline.precision

    def analyse(self, samples: NDArray[np.float32]) -> Analysis:
        """A recording of 8 kHz mono samples in [-1, 1], shape (n,)."""
        stream = _Recorder(self.model.dimensions)
        chunks = self._chunks(stream, samples)
        while batch := list(islice(chunks, EMBEDDING_BATCH)):
            self._pipeline.embed(batch)
        voice = stream.voice()
        embeddings = np.array(stream.embeddings, np.float32).reshape(-1, self.model.dimensions)
        return Analysis(embeddings, voice.audio_s, voice.quality)

    def _chunks(self, stream: StreamState, samples: NDArray[np.float32]) -> Iterator[Chunk]:
        for start in range(0, len(samples), STEP_SAMPLES):
            yield from self._pipeline.advance([(stream, [samples[start : start + STEP_SAMPLES]])])


class _Recorder(StreamState):
    """A stream that keeps the embedding of every chunk."""

    def __init__(self, dimensions: int) -> None:
        super().__init__(dimensions)
        self.embeddings: list[NDArray[np.float32]] = []

    def add_embedding(self, embedding: NDArray[np.float32]) -> None:
        super().add_embedding(embedding)
        self.embeddings.append(embedding)
