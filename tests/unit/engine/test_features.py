from __future__ import annotations

import numpy as np

from voice_verify.engine import features
from vvctl.model import reference

# The last bin that lies below 4 kHz with its whole triangle.
IN_BAND = 59


def log_mel(samples: np.ndarray) -> np.ndarray:
    frames = features.frames(samples)
    return features.log_mel(frames - frames.mean(axis=1, keepdims=True))


def test_equals_kaldi_at_16_khz_in_the_telephone_band() -> None:
    stored = reference.load()
    ours = log_mel(stored["signal"])[: len(stored["kaldi"])]
    difference = np.abs(ours - stored["kaldi"])[:, 1:IN_BAND]
    # Windows of 199 and 399 steps are not quite equally long, so single quiet bins differ more.
    assert np.median(difference) < 0.01
    assert np.quantile(difference, 0.99) < 0.15


def test_bins_above_the_telephone_band_stay_at_the_floor() -> None:
    stored = reference.load()
    ours = log_mel(stored["signal"])
    np.testing.assert_allclose(ours[:, 64:], stored["kaldi"][0, -1], rtol=1e-6)


def test_silence_gives_the_floor_and_no_infinities() -> None:
    assert (log_mel(np.zeros(1000, np.float32)) == np.log(np.finfo(np.float32).eps)).all()


def test_a_frame_needs_25_ms() -> None:
    assert features.frames(np.zeros(199, np.float32)).shape == (0, 200)
    assert features.frames(np.zeros(200, np.float32)).shape == (1, 200)
    assert features.frames(np.zeros(8000, np.float32)).shape == (98, 200)
