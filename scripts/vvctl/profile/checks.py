"""What is doubtful about the recordings: wrong names, two names of one voice, noise, clipping."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from vvctl.profile.embeddings import Take
from vvctl.profile.trials import Trials, pooled

if TYPE_CHECKING:
    from voice_verify.engine import AudioSourceProfile
    from voice_verify.engine.profile import Limits

MIN_SPEECH_S = 5
"""Less speech than this is too uncertain to doubt a name for."""
SHOWN = 20
_FALSE_ALARMS = 100


def doubts(takes: Sequence[Take], profile: AudioSourceProfile, limits: Limits) -> list[str]:
    """Everything found, in words; nothing is changed.

    `profile` judges the voices: not one fitted on these takes, which has learned their mistakes.
    """
    by_speaker: dict[str, list[Take]] = {}
    for take in takes:
        if len(take.embeddings):
            by_speaker.setdefault(take.speaker, []).append(take)
    return [*_one_voice(by_speaker, profile), *_wrong_name(by_speaker, profile), *_quality(takes, limits)]


def few_sessions(trials: Trials) -> list[str]:
    """What the trials leave open."""
    found = []
    if trials.one_session:
        found.append(
            f"One session only: {len(trials.one_session)} of {len(trials.speakers)} speakers are enrolled and tested "
            "from the same one, which is optimistic"
        )
    if trials.excluded:
        found.append(f"Too little speech to enrol and test: {len(trials.excluded)} speaker(s) were left out")
    return found


def _one_voice(by_speaker: dict[str, list[Take]], profile: AudioSourceProfile) -> list[str]:
    """Pairs of speakers who are more alike than so many different people should be.

    Of n pairs of different people fewer than n·e^-r reach the log-likelihood ratio r, so at most _FALSE_ALARMS are
    named for nothing, in practice a few. One person may be less alike in two languages or on two lines than in one, so
    this asks for less than being verified.
    """
    known = {name: np.concatenate([take.embeddings for take in takes]) for name, takes in by_speaker.items()}
    known = {name: chunks for name, chunks in known.items() if len(chunks) >= MIN_SPEECH_S}
    voices = {name: pooled(chunks) for name, chunks in known.items()}
    pairs = list(combinations(known, 2))
    alike = min(math.log(max(1, len(pairs)) / _FALSE_ALARMS), profile.thresholds.verified)
    found = []
    for one, other in pairs:
        score = profile.score(voices[one], voices[other])
        ratio = profile.log_likelihood_ratio(score, min(len(known[one]), len(known[other])))
        if ratio >= alike:
            found.append((ratio, f"Same voice under two names? {one} and {other} (log-likelihood ratio {ratio:+.1f})"))
    return _shown(found)


def _wrong_name(by_speaker: dict[str, list[Take]], profile: AudioSourceProfile) -> list[str]:
    """Takes that speak rather against than for the other takes of their speaker."""
    found = []
    for takes in by_speaker.values():
        for index, take in enumerate(takes):
            others = [other.embeddings for other in takes[:index] + takes[index + 1 :]]
            rest = np.concatenate(others) if others else take.embeddings[:0]
            seconds = min(len(rest), len(take.embeddings))
            if seconds < MIN_SPEECH_S:
                continue
            ratio = profile.log_likelihood_ratio(profile.score(pooled(rest), pooled(take.embeddings)), seconds)
            if ratio < 0:
                words = f"Another voice than the rest of its speaker? {take.label} (log-likelihood ratio {ratio:+.1f})"
                found.append((-ratio, words))
    return _shown(found)


def _quality(takes: Sequence[Take], limits: Limits) -> list[str]:
    noisy = [
        (-take.snr_db, f"Low SNR: {take.label} has {take.snr_db:.0f} dB, the limit is {limits.minimum_snr_db:g} dB")
        for take in takes
        if len(take.embeddings) and take.snr_db is not None and take.snr_db < limits.minimum_snr_db
    ]
    clipped = [
        (take.clipped_share, f"Clipped: {take.label}, {take.clipped_share:.1%} of the speech")
        for take in takes
        if take.clipped_share > limits.maximum_clipped_share
    ]
    silent = [(take.audio_s, f"Hardly any speech: {take.label}") for take in takes if not len(take.embeddings)]
    return [*_shown(noisy), *_shown(clipped), *_shown(silent)]


def _shown(found: list[tuple[float, str]]) -> list[str]:
    """The worst first, and how many more."""
    ordered = [words for _, words in sorted(found, reverse=True)]
    more = len(ordered) - SHOWN
    return ordered[:SHOWN] + ([f"… and {more} more like it"] if more > 0 else [])
