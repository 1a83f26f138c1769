"""Fits, and what they are worth to speakers that they have not seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from vvctl.profile import calibration
from vvctl.profile.calibration import Calibration, Numbers
from vvctl.profile.normalisation import Normalisation, Pieces, adapt
from vvctl.profile.trials import Trials

FOLDS = 5
ROUNDS = FOLDS * (FOLDS + 1) // 2
"""How often `held_out` fits."""
_SEED = 5

Rows = NDArray[np.bool_]


@dataclass(frozen=True)
class Start:
    """Of the profile that a fit starts from."""

    normalisation: Normalisation
    calibration: Calibration


def fit(trials: Trials, pieces: Pieces, base: Start) -> tuple[Normalisation, Calibration]:
    """The normalisation of all these speakers, and the calibration that belongs to it.

    Scores of the very speakers that a normalisation was learned from are better than any caller's. So the calibration
    is fitted on scores that a normalisation without the two speakers gave. Raises NotSeparable.
    """
    scores = np.empty(len(trials.test))
    for judged, _, unseen in _blocks(trials):
        scores[judged] = trials.scores(adapt(base.normalisation, pieces.without(unseen)).sides(trials))[judged]
    return adapt(base.normalisation, pieces), calibration.fit(scores, trials.target, trials.seconds, base.calibration)


def held_out(trials: Trials, pieces: Pieces, base: Start, *, progress: Callable[[], None] = lambda: None) -> Numbers:
    """The log-likelihood ratio (n,) of every trial, from a whole fit that saw neither of its two speakers.

    `progress` is called after each of the ROUNDS fits. Raises NotSeparable.
    """
    ratios = np.empty(len(trials.test))
    for judged, seen, unseen in _blocks(trials):
        normalisation, fitted = fit(trials.only(seen), pieces.without(unseen), base)
        scores = trials.scores(normalisation.sides(trials))
        ratios[judged] = fitted.ratios(scores[judged], trials.seconds[judged])
        progress()
    return ratios


def _blocks(trials: Trials) -> Iterator[tuple[Rows, Rows, set[str]]]:
    """The trials to judge, those that may be seen for it, and the speakers that must not be, until all were judged.

    The speakers are dealt into FOLDS. For each pair of folds, a fold with itself included, the trials between both are
    judged by what is known without both: so each trial is judged once, and every pair of speakers is tried.
    """
    present = np.union1d(trials.speaker_enrolled, trials.speaker_tested)
    fold = np.full(len(trials.speakers), -1)
    fold[present] = np.random.default_rng(_SEED).permutation(len(present)) % FOLDS
    enrolled, tested = fold[trials.speaker_enrolled], fold[trials.speaker_tested]
    for one, other in combinations_with_replacement(range(FOLDS), 2):
        judged = ((enrolled == one) & (tested == other)) | ((enrolled == other) & (tested == one))
        seen = ~np.isin(enrolled, (one, other)) & ~np.isin(tested, (one, other))
        yield judged, seen, {trials.speakers[index] for index in np.flatnonzero((fold == one) | (fold == other))}
