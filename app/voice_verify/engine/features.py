"""80 Kaldi log-mel bins, straight from 8 kHz.

The embedding model was trained on Kaldi's filter bank at 16 kHz (25 ms Povey window, 10 ms hop, 20 to 8000 Hz,
pre-emphasis 0.97, no dither, samples in [-1, 1]). Telephone audio holds nothing above 4 kHz, so the same bins are
computed from 8 kHz samples: the bins above stay at the floor, as they do for an upsampled signal.
Formula: Kaldi, src/feat/mel-computations.cc and src/feat/feature-window.cc.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 8000
FRAME_LENGTH = 200
FRAME_SHIFT = 80
BINS = 80

# Changes when the same audio would give other features, because voiceprints can then no longer be compared.
FEATURE_RECIPE = "fbank80-8khz-chunk100-1"

_FFT_SIZE = 256
_MODEL_RATE = 16000
_MODEL_FFT_SIZE = 512
_LOW_HZ, _HIGH_HZ = 20.0, 8000.0
_PRE_EMPHASIS = 0.97
_FLOOR = np.float32(np.finfo(np.float32).eps)


def _mel(hertz: NDArray[np.float64] | float) -> NDArray[np.float64]:
    return np.asarray(1127.0 * np.log1p(np.asarray(hertz) / 700.0), dtype=np.float64)


def _mel_weights() -> NDArray[np.float64]:
    """Triangular weights of Kaldi at 16 kHz for the FFT bins up to 4 kHz, shape (129, 80)."""
    hertz = np.arange(_FFT_SIZE // 2 + 1) * _MODEL_RATE / _MODEL_FFT_SIZE
    low, high = _mel(_LOW_HZ), _mel(_HIGH_HZ)
    width = (high - low) / (BINS + 1)
    left = low + np.arange(BINS) * width
    mel = _mel(hertz)[:, None]
    return np.maximum(0.0, np.minimum((mel - left) / width, (left + 2 * width - mel) / width))


def _filter_bank() -> NDArray[np.float32]:
    """The mel weights, corrected for what 8 kHz does otherwise than 16 kHz, shape (129, 80).

    One step at 8 kHz is two at 16 kHz, so pre-emphasis uses the square of the coefficient; the ratio of both
    frequency responses makes up the difference. Half the samples give a quarter of the power.
    """
    angle = 2 * np.pi * np.arange(_FFT_SIZE // 2 + 1) / _MODEL_FFT_SIZE
    wanted = np.abs(1 - _PRE_EMPHASIS * np.exp(-1j * angle)) ** 2
    applied = np.abs(1 - _PRE_EMPHASIS**2 * np.exp(-2j * angle)) ** 2
    return np.ascontiguousarray(_mel_weights() * (4.0 * wanted / applied)[:, None], dtype=np.float32)


_FILTER_BANK = _filter_bank()
_WINDOW = np.power(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME_LENGTH) / (FRAME_LENGTH - 1)), 0.85).astype(
    np.float32
)
_EMPHASIS_8K = np.float32(_PRE_EMPHASIS**2)


def frames(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """The whole 25 ms frames of 8 kHz `samples`, every 10 ms, as a view of shape (n, 200)."""
    if len(samples) < FRAME_LENGTH:
        return np.empty((0, FRAME_LENGTH), np.float32)
    return np.lib.stride_tricks.sliding_window_view(samples, FRAME_LENGTH)[::FRAME_SHIFT]


def log_mel(centred: NDArray[np.float32]) -> NDArray[np.float32]:
    """Natural log-mel energies, shape (n, 80), of frames of shape (n, 200) whose mean was taken off."""
    emphasised = np.empty_like(centred)
    np.multiply(centred[:, :-1], -_EMPHASIS_8K, out=emphasised[:, 1:])
    emphasised[:, 1:] += centred[:, 1:]
    # Kaldi repeats the first sample in front of the frame.
    emphasised[:, 0] = centred[:, 0] * (1 - _EMPHASIS_8K)
    emphasised *= _WINDOW
    spectrum = np.fft.rfft(emphasised, _FFT_SIZE)
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32, copy=False)
    energies: NDArray[np.float32] = np.log(np.maximum(power @ _FILTER_BANK, _FLOOR))
    return energies
