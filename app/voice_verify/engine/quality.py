"""Signal-to-noise ratio and clipping, in constant memory however long the stream."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from voice_verify.engine.voice import Quality

CLIP_LEVEL = np.float32(0.98)
"""The largest magnitudes of A-law (0.984) and µ-law (0.980) count as clipped, like full scale."""

# Below this a line carries digital silence, which says nothing about the noise under the speech.
_SILENCE_DB = -80
_MIN_FRAMES = 20
# The edges of words that the VAD leaves out are louder than the noise between words: the quiet quarter is noise.
# On white noise of 5 to 30 dB added to prompts it measures within 1 dB.
_NOISE_QUANTILE = 0.25
_MAX_SNR_DB = 60.0


class QualityMeter:
    """Collects the mean power of speech and a histogram, 1 dB wide, of the power of what is not speech."""

    def __init__(self) -> None:
        self._speech_power = 0.0
        self._speech_frames = 0
        self._clipped = 0.0
        self._noise = np.zeros(-_SILENCE_DB + 1, np.int64)

    def add(self, powers: NDArray[np.float32], clipped: NDArray[np.float32], voiced: NDArray[np.bool_]) -> None:
        """One value a frame: mean square, share of clipped samples, whether it is speech."""
        self._speech_frames += int(voiced.sum())
        self._speech_power += float(powers[voiced].sum(dtype=np.float64))
        self._clipped += float(clipped[voiced].sum(dtype=np.float64))
        noise = powers[~voiced & (powers > 10 ** (_SILENCE_DB / 10))]
        decibels = np.minimum(10 * np.log10(noise), 0.0)
        self._noise += np.bincount((decibels - _SILENCE_DB).astype(np.int64), minlength=len(self._noise))

    def quality(self) -> Quality:
        return Quality(self._snr_db(), self._clipped / self._speech_frames if self._speech_frames else 0.0)

    def _snr_db(self) -> float | None:
        """Speech against noise, at most 60 dB; None with less than 0.2 s of either."""
        counted = np.cumsum(self._noise)
        if self._speech_frames < _MIN_FRAMES or counted[-1] < _MIN_FRAMES:
            return None
        noise_db = _SILENCE_DB + float(np.searchsorted(counted, counted[-1] * _NOISE_QUANTILE)) + 0.5
        noise = 10 ** (noise_db / 10)
        # What the VAD calls speech holds the noise too.
        speech = max(self._speech_power / self._speech_frames - noise, noise / 100)
        return min(10 * float(np.log10(speech / noise)), _MAX_SNR_DB)
