"""What the engine remembers of one stream."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from voice_verify.engine.features import BINS, FRAME_SHIFT, SAMPLE_RATE
from voice_verify.engine.model import VAD_CONTEXT, VadNetwork
from voice_verify.engine.quality import QualityMeter
from voice_verify.engine.voice import Voice, normalise

CHUNK_FRAMES = 100
"""Frames of speech that are embedded together: 1 s."""
CHUNK_S = CHUNK_FRAMES * FRAME_SHIFT / SAMPLE_RATE


class StreamState:
    """One stream: where the VAD and the frames are, the speech that does not fill a chunk yet, the sum of embeddings.

    Its size does not grow with the audio: at most a VAD window, a frame and a chunk are kept. What has no underscore
    is the pipeline's, which works on many streams at once.
    """

    def __init__(self, dimensions: int) -> None:
        self.samples = 0
        """Heard so far."""
        self.tail = np.zeros(VAD_CONTEXT, np.float32)
        """The last samples, from the first that is still needed; before the stream there is silence."""
        self.windows = 0
        """VAD windows done."""
        self.frames = 0
        """Frames done."""
        self.vad_state = VadNetwork.initial_state()
        self.probability = 0.0
        """Of speech in the last VAD window."""
        self.quality = QualityMeter()
        self._speech = np.empty((CHUNK_FRAMES, BINS), np.float32)
        self._filled = 0
        self._sum = np.zeros(dimensions, np.float64)
        self._chunks = 0

    def absorb(self, speech: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
        """Take the features (n, 80) of frames of speech; the chunks that are whole now, mean-subtracted, (100, 80)."""
        while len(speech):
            taken = speech[: CHUNK_FRAMES - self._filled]
            self._speech[self._filled : self._filled + len(taken)] = taken
            self._filled += len(taken)
            speech = speech[len(taken) :]
            if self._filled == CHUNK_FRAMES:
                self._filled = 0
                yield self._speech - self._speech.mean(axis=0)

    def add_embedding(self, embedding: NDArray[np.float32]) -> None:
        """Add the L2-normalised embedding (dimensions,) of one chunk."""
        self._sum += embedding
        self._chunks += 1

    def voice(self) -> Voice:
        return Voice(
            embedding=normalise(self._sum.astype(np.float32)) if self._chunks else None,
            net_speech_s=self._chunks * CHUNK_S,
            audio_s=self.samples / SAMPLE_RATE,
            quality=self.quality.quality(),
        )
