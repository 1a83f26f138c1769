"""What the engine remembers of one stream, and the steps from samples to chunks of speech."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from voice_verify.engine.features import BINS, FRAME_LENGTH, FRAME_SHIFT, SAMPLE_RATE, frames
from voice_verify.engine.model import VAD_CONTEXT, VAD_WINDOW, VadNetwork
from voice_verify.engine.quality import QualityMeter
from voice_verify.engine.voice import Voice, normalise

CHUNK_FRAMES = 100
"""Frames of speech that are embedded together: 1 s."""
CHUNK_S = CHUNK_FRAMES * FRAME_SHIFT / SAMPLE_RATE


class StreamState:
    """One stream: VAD state, the speech that does not fill a chunk yet, the sum of embeddings.

    Its size does not grow with the audio: at most a VAD window, a frame and a chunk are kept.
    """

    def __init__(self, dimensions: int) -> None:
        self.vad_state = VadNetwork.initial_state()
        # Starts at the next VAD window, less its context; before the stream there is silence.
        self._vad_buffer = np.zeros(VAD_CONTEXT, np.float32)
        self._windows_done = 0
        # Starts at the first sample of the next frame.
        self._frame_buffer = np.empty(0, np.float32)
        self._frames_done = 0
        self._probabilities = np.empty(0, np.float32)
        self._speech = np.empty((0, BINS), np.float32)
        self._samples = 0
        self._sum = np.zeros(dimensions, np.float64)
        self._chunks = 0
        self._quality = QualityMeter()

    def windows(self, blocks: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Append `blocks`; the VAD windows that are whole now, shape (n, 288)."""
        self._samples += sum(map(len, blocks))
        self._frame_buffer = np.concatenate([self._frame_buffer, *blocks])
        buffer = np.concatenate([self._vad_buffer, *blocks])
        count = (len(buffer) - VAD_CONTEXT) // VAD_WINDOW
        self._vad_buffer = buffer[count * VAD_WINDOW :].copy()
        if count == 0:
            return np.empty((0, VAD_CONTEXT + VAD_WINDOW), np.float32)
        return np.lib.stride_tricks.sliding_window_view(buffer, VAD_CONTEXT + VAD_WINDOW)[::VAD_WINDOW][:count]

    def frames(self, probabilities: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The frames (n, 200) inside the VAD windows done so far, and the probability of speech of each (n,).

        `probabilities` are those of the windows last handed out. A frame belongs to the window that its middle is in,
        and comes out once the window with its end is done, so the result does not depend on how audio was cut.
        """
        first_window = self._windows_done - len(self._probabilities)
        known = np.concatenate([self._probabilities, probabilities])
        self._windows_done += len(probabilities)
        total = max(0, (self._windows_done * VAD_WINDOW - FRAME_LENGTH) // FRAME_SHIFT + 1)
        count = total - self._frames_done
        middles = np.arange(self._frames_done, total) * FRAME_SHIFT + FRAME_LENGTH // 2
        owners = middles // VAD_WINDOW - first_window
        views = frames(self._frame_buffer)[:count]
        self._frame_buffer = self._frame_buffer[count * FRAME_SHIFT :].copy()
        self._frames_done = total
        next_window = (total * FRAME_SHIFT + FRAME_LENGTH // 2) // VAD_WINDOW
        self._probabilities = known[max(0, next_window - first_window) :]
        return views, known[owners]

    def absorb(
        self,
        speech: NDArray[np.float32],
        powers: NDArray[np.float32],
        clipped: NDArray[np.float32],
        voiced: NDArray[np.bool_],
    ) -> list[NDArray[np.float32]]:
        """Take the features of the voiced frames; the chunks that are whole now, mean-subtracted, (100, 80) each.

        `speech` is (voiced, 80), the other arrays have one value a frame.
        """
        self._quality.add(powers, clipped, voiced)
        self._speech = np.concatenate([self._speech, speech])
        chunks = []
        whole = len(self._speech) // CHUNK_FRAMES * CHUNK_FRAMES
        for start in range(0, whole, CHUNK_FRAMES):
            chunk = self._speech[start : start + CHUNK_FRAMES]
            chunks.append(chunk - chunk.mean(axis=0))
        self._speech = self._speech[whole:].copy()
        return chunks

    def add_embedding(self, embedding: NDArray[np.float32]) -> None:
        """Add the L2-normalised embedding (dimensions,) of one chunk."""
        self._sum += embedding
        self._chunks += 1

    def voice(self) -> Voice:
        return Voice(
            embedding=normalise(self._sum.astype(np.float32)) if self._chunks else None,
            net_speech_s=self._chunks * CHUNK_S,
            audio_s=self._samples / SAMPLE_RATE,
            quality=self._quality.quality(),
        )
