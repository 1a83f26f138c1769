"""What a profile is worth on recordings of others than it was fitted on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from vvctl.profile.embeddings import Take
from vvctl.profile.errors import TooLittleData
from vvctl.profile.measure import Judged
from vvctl.profile.trials import Trials, build

if TYPE_CHECKING:
    from voice_verify.engine import AudioSourceProfile


def judge(takes: Sequence[Take], profile: AudioSourceProfile) -> Judged:
    """Every trial that the takes allow, judged by the profile. Raises TooLittleData."""
    trials = build([take for take in takes if len(take.embeddings)], enrolment_s=int(profile.minimum_enrolment_s))
    if len(trials.speakers) < 2:
        raise TooLittleData(
            f"too little data: {len(trials.speakers)} speaker(s) have {profile.minimum_enrolment_s:g} s of net speech "
            f"and another second to test, {2 - len(trials.speakers)} are missing",
            hint=f"{len(trials.excluded)} have less; give longer recordings or more of them",
        )
    return Judged(trials, ratios(trials, profile))


def ratios(trials: Trials, profile: AudioSourceProfile) -> np.ndarray:
    """The log-likelihood ratio (n,) of each trial, as the service would compute it."""
    scores = trials.scores((profile.project(trials.voiceprints), profile.project(trials.tests)))
    found = np.empty(len(scores))
    for length in trials.lengths():
        rows = trials.seconds == length
        # The ratio is linear in the score, so two points tell all of it.
        at_zero, at_one = (profile.log_likelihood_ratio(score, length) for score in (0.0, 1.0))
        found[rows] = at_zero + (at_one - at_zero) * scores[rows]
    return found
