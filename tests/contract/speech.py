"""Real speech: Debian's Asterisk prompts at 8 kHz."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from numpy.typing import NDArray

PROMPTS = Path("/usr/share/asterisk/sounds")
RATE = 8000
# Told apart by more than pitch and language: the other two are in tests/image.
ANNA, BRUNO = "fr_CA_f_June", "it_IT_m_Carlo"
# Prompts to enrol with, and others to verify with.
ENROLMENT, TEST = "vm-*.wav", "conf*.wav"


def samples(voice: str, prompts: str, seconds: float) -> NDArray[np.int16]:
    """That many seconds of prompts one after the other, 8 kHz mono."""
    files = sorted((PROMPTS / voice).glob(prompts))
    if not files:
        pytest.fail(f"no speech in {PROMPTS / voice}: make deps-test installs it", pytrace=False)
    wanted = int(seconds * RATE)
    joined = np.empty(0, np.int16)
    for file in files:
        joined = np.append(joined, soundfile.read(file, dtype="int16")[0])
        if len(joined) >= wanted:
            return joined[:wanted]
    raise AssertionError(f"{voice} has less than {seconds} s of {prompts}")


def wav(content: NDArray[np.int16], *, rate: int = RATE, kind: str = "WAV", subtype: str = "PCM_16") -> bytes:
    """A recording of `content`, which may have several channels."""
    file = io.BytesIO()
    soundfile.write(file, content, rate, format=kind, subtype=subtype)
    return file.getvalue()


def encoded(audio: NDArray[np.int16], codec: str, rate: int) -> NDArray[np.generic]:
    """The audio at `rate`, as `codec`, made without the service's own code."""
    if rate != RATE:
        return soxr.resample(audio, RATE, rate).astype(np.int16)
    if codec == "pcm_s16le":
        return audio
    subtype = {"alaw": "ALAW", "mulaw": "ULAW"}[codec]
    file = io.BytesIO()
    soundfile.write(file, audio, rate, format="RAW", subtype=subtype)
    return np.frombuffer(file.getvalue(), np.uint8)
