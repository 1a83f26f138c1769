"""Signal-to-noise ratio and clipping, in constant memory however long the stream."""

from __future__ import annotations

from collections.abc import Sequence

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
_LEVELS = -_SILENCE_DB + 1


class QualityMeter:
    """Collects the mean power of speech and a histogram, 1 dB wide, of the power of what is not speech."""

    def __init__(self) -> None:
        self._speech_power = 0.0
        self._speech_frames = 0
        self._clipped = 0.0
        self._noise = np.zeros(_LEVELS, np.int64)

    def add(self, speech_frames: int, speech_power: float, clipped: float, noise: NDArray[np.int64]) -> None:
        """The frames of speech, the sums of their power and clipped share, the histogram of the others (81,)."""
        self._speech_frames += speech_frames
        self._speech_power += speech_power
        self._clipped += clipped
        self._noise += noise

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


def measure(
    meters: Sequence[QualityMeter],
    owners: NDArray[np.int64],
    powers: NDArray[np.float32],
    clipped: NDArray[np.float32],
    voiced: NDArray[np.bool_],
) -> None:
    """Add frames to the meters; one value a frame: the meter's number, mean square, clipped share, whether speech."""
    speakers = owners[voiced]
    counts = np.bincount(speakers, minlength=len(meters)).tolist()
    power = np.bincount(speakers, powers[voiced], len(meters)).tolist()
    clips = np.bincount(speakers, clipped[voiced], len(meters)).tolist()
    is_noise = ~voiced & (powers > 10 ** (_SILENCE_DB / 10))
    levels = (np.minimum(10 * np.log10(powers[is_noise]), 0.0) - _SILENCE_DB).astype(np.int64)
    cells = np.bincount(owners[is_noise] * _LEVELS + levels, minlength=len(meters) * _LEVELS)
    for number, (meter, noise) in enumerate(zip(meters, cells.reshape(-1, _LEVELS), strict=True)):
        meter.add(counts[number], power[number], clips[number], noise)
