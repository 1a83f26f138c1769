"""Real speech: Debian's Asterisk prompts at 8 kHz, a directory for each speaker."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import soundfile

PROMPTS = Path("/usr/share/asterisk/sounds")
RATE = 8000
# Two women, so that they are not told apart by pitch alone.
TARGET, IMPOSTOR = "fr_CA_f_June", "it_IT_f_Menardi"
# The first voice under another name, enrolled after the snapshot.
LATER = "later"
# Shorter prompts are digits, beeps and noises.
_SHORTEST_S = 1.5
# 20 s of speech are the least to enrol with.
ENROLMENT_S = 23
# Test speech starts so far behind the enrolment that no prompt is in both.
_TEST_START_S = 60


def enrolment(speaker: str) -> bytes:
    """A WAV file to enrol `speaker` with."""
    return _wav(speaker, 0, ENROLMENT_S)


def speech(speaker: str, seconds: int = 10) -> bytes:
    """A WAV file of other speech of `speaker`."""
    return _wav(speaker, _TEST_START_S, seconds)


def samples(speaker: str, seconds: int) -> bytes:
    """The same as raw 16 bit samples, as a WebSocket client sends them."""
    return bytes(_samples(speaker, _TEST_START_S, seconds).tobytes())


def _wav(speaker: str, start_s: int, seconds: int) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, _samples(speaker, start_s, seconds), RATE, format="WAV", subtype="PCM_16")
    return file.getvalue()


def _samples(speaker: str, start_s: int, seconds: int) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    prompts = sorted((PROMPTS / speaker).rglob("*.wav"))
    if not prompts:
        raise FileNotFoundError(f"no prompts in {PROMPTS / speaker}: `make deps-test` installs them")
    long_enough = [prompt for prompt in prompts if soundfile.info(prompt).duration >= _SHORTEST_S]
    samples = np.empty(0, np.int16)
    for prompt in long_enough:
        samples = np.append(samples, soundfile.read(prompt, dtype="int16")[0])
        if len(samples) >= (start_s + seconds) * RATE:
            return samples[start_s * RATE : (start_s + seconds) * RATE]
    raise ValueError(f"{speaker} has too few prompts")
