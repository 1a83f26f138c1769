"""Voices drawn from a model with known parameters, through the same code as real ones below the audio.

A chunk is its speaker's place, plus what its session adds, plus what the words add: normal in each of 192 dimensions,
as in PLDA, then scaled to length 1.
"""

from __future__ import annotations

import hashlib

import numpy as np

from vvctl.profile.embeddings import Take

DIMENSIONS = 192


def speakers(
    count: int,
    *,
    sessions: int = 3,
    seconds: int = 26,
    session_spread: float = 0.5,
    word_spread: float = 1.5,
    snr_db: float | None = 25.0,
    seed: int = 1,
) -> list[Take]:
    """`sessions` takes of `seconds` each for every speaker, `s00` and on. Spreads are relative to that of speakers."""
    random = np.random.default_rng(seed)
    takes = []
    for number in range(count):
        place = random.normal(size=DIMENSIONS)
        for session in range(sessions):
            channel = place + random.normal(scale=session_spread, size=DIMENSIONS)
            chunks = channel + random.normal(scale=word_spread, size=(seconds, DIMENSIONS))
            takes.append(take(f"s{number:02}", f"call{session}", chunks, snr_db=snr_db))
    return takes


def take(speaker: str, session: str, chunks: np.ndarray, *, snr_db: float | None = 25.0, clipped: float = 0.0) -> Take:
    scaled = (chunks / np.linalg.norm(chunks, axis=1, keepdims=True)).astype(np.float32)
    digest = hashlib.sha256(scaled.tobytes()).hexdigest()
    return Take(speaker, session, (digest,), scaled, len(chunks) * 1.4, snr_db, clipped)
