"""What the engine hands out: messages without behaviour, so that they may cross a process boundary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Reason = Literal["ok", "not_enough_speech", "low_snr", "clipped", "model_mismatch"]
"""The engine's part of the closed list in the API."""


@dataclass(frozen=True)
class Quality:
    """`snr_db`: speech against non-speech power, None while either is unknown.

    `clipped_share`: share of the samples in speech at the end of the range, 0 to 1.
    """

    snr_db: float | None
    clipped_share: float


@dataclass(frozen=True)
class Voice:
    """What a stream or a recording has given so far.

    `embedding`: (192,) float32, the L2-normalised mean of the L2-normalised embeddings of each second of speech;
    None before the first. `net_speech_s`: the speech that the embedding stands on, in whole seconds, because speech is
    embedded second by second. `audio_s`: all audio heard.
    """

    embedding: NDArray[np.float32] | None
    net_speech_s: float
    audio_s: float
    quality: Quality


@dataclass(frozen=True)
class Decision:
    """The answer to "is this the speaker of the voiceprint?".

    `score` (cosine) and `log_likelihood_ratio` (natural logarithm) are None where there was nothing to compare.
    """

    decision: Literal["verified", "not_sure", "not_verified"]
    score: float | None
    log_likelihood_ratio: float | None
    net_speech_s: float
    reason: Reason


def normalise(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """`vector` scaled to length 1; vectors of a matrix row by row."""
    scaled: NDArray[np.float32] = vector / np.linalg.norm(vector, axis=-1, keepdims=True)
    return scaled


def pool(voices: Sequence[Voice]) -> Voice:
    """Several recordings of one speaker as one, each weighted by its net speech.

    The SNR is that of the worst recording with speech, so that a good one does not hide a bad one; the clipped share
    is weighted like the embedding. Raises ValueError when `voices` is empty.
    """
    if not voices:
        raise ValueError("pool needs at least one voice")
    heard = [(voice, voice.embedding) for voice in voices if voice.embedding is not None]
    net_speech_s = sum(voice.net_speech_s for voice in voices)
    audio_s = sum(voice.audio_s for voice in voices)
    if not heard:
        return Voice(None, net_speech_s, audio_s, Quality(None, 0.0))
    mean = np.sum([embedding * voice.net_speech_s for voice, embedding in heard], axis=0) / net_speech_s
    ratios = [voice.quality.snr_db for voice, _ in heard if voice.quality.snr_db is not None]
    clipped = sum(voice.quality.clipped_share * voice.net_speech_s for voice, _ in heard) / net_speech_s
    return Voice(
        embedding=normalise(mean.astype(np.float32)),
        net_speech_s=net_speech_s,
        audio_s=audio_s,
        quality=Quality(min(ratios, default=None), clipped),
    )
