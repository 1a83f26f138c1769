"""Recordings as a telephone would send them: 8 kHz, mono, 16 bits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from vvctl.errors import VvctlError

RATE = 8000
CODEC = "pcm_s16le"
FRAME_S = 0.1


class RecordingError(VvctlError):
    """A recording cannot be read."""

    code = "recording"


def read(paths: Sequence[Path]) -> NDArray[np.int16]:
    """All recordings one after the other, (n,); stereo is mixed down. Raises RecordingError."""
    return np.concatenate([_read_one(path) for path in paths])


def frames(samples: NDArray[np.int16]) -> Iterator[bytes]:
    """The samples in frames of FRAME_S seconds, the last one shorter."""
    size = int(RATE * FRAME_S)
    for start in range(0, len(samples), size):
        yield samples[start : start + size].astype("<i2").tobytes()


def _read_one(path: Path) -> NDArray[np.int16]:
    try:
        content, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise RecordingError(f"{path} cannot be read: {error}", hint="give WAV, FLAC or Ogg files") from error
    if not len(content):
        raise RecordingError(f"{path} holds no audio", hint="give a recording with speech")
    mono: NDArray[np.float32] = soxr.resample(content.mean(axis=1), rate, RATE)
    return (np.clip(mono, -1.0, 1.0) * 32767).astype(np.int16)
