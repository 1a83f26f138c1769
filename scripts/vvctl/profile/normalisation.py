"""Within-class covariance normalisation, learned from the customer's speakers as far as there are enough of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voice_verify.engine.voice import normalise
from vvctl.profile.embeddings import Take
from vvctl.profile.trials import Floats, Trials, pooled

PIECE_S = 5
"""Embeddings are compared over this much speech: long enough that words matter less than the voice and its channel."""
MEAN_WEIGHT = 100
"""The base's mean counts as so many speakers: the mean of few says more of them than of the line. With a weight of 20
the mean of 30 real speakers made the EER worse."""


@dataclass(frozen=True)
class Normalisation:
    """`(embedding - mean) @ wccn`, then length 1. `mean` (192,), `wccn` (192, 192), float64."""

    mean: NDArray[np.float64]
    wccn: NDArray[np.float64]

    def project(self, embeddings: Floats) -> Floats:
        """The embeddings (n, 192), projected, of length 1."""
        return normalise(((embeddings - self.mean) @ self.wccn).astype(np.float32))

    def sides(self, trials: Trials) -> tuple[Floats, Floats]:
        """Voiceprints and tests of `trials`, projected."""
        return self.project(trials.voiceprints), self.project(trials.tests)


@dataclass(frozen=True)
class Pieces:
    """`embeddings` (n, 192) of PIECE_S seconds each, and the name of the speaker of each."""

    embeddings: Floats
    speakers: NDArray[np.str_]

    def without(self, speakers: set[str]) -> Pieces:
        kept = ~np.isin(self.speakers, sorted(speakers))
        return Pieces(self.embeddings[kept], self.speakers[kept])


def pieces_of(takes: Sequence[Take]) -> Pieces:
    """Every whole piece of every take."""
    found = [
        (pooled(take.embeddings[start : start + PIECE_S]), take.speaker)
        for take in takes
        for start in range(0, len(take.embeddings) - PIECE_S + 1, PIECE_S)
    ]
    return Pieces(np.array([piece for piece, _ in found], np.float32), np.array([name for _, name in found], np.str_))


def adapt(base: Normalisation, pieces: Pieces) -> Normalisation:
    """The base, moved towards these speakers by as much as their number justifies.

    The covariance within speakers is the mean of an inverse Wishart posterior, the base weighing as many observations
    as there are dimensions: fewer deviations cannot even span the space. Each speaker counts alike, however much of it
    there is. Hatch, Kajarekar and Stolcke, Within-class covariance normalization for SVM-based speaker recognition,
    Interspeech 2006; Gelman et al., Bayesian Data Analysis, 3rd edition, section 3.6.
    """
    names = np.unique(pieces.speakers)
    own = [pieces.embeddings[pieces.speakers == name].astype(np.float64) for name in names]
    centres = np.array([part.mean(axis=0) for part in own])
    freedom = sum(len(part) - 1 for part in own)
    mean = (MEAN_WEIGHT * base.mean + centres.sum(axis=0)) / (MEAN_WEIGHT + len(names))
    if not freedom:
        return Normalisation(mean, base.wccn)
    repeated = [part for part in own if len(part) > 1]
    scatter = np.mean([np.cov(part, rowvar=False) for part in repeated], axis=0)
    prior = np.linalg.inv(base.wccn @ base.wccn.T)
    # The base's covariance may be of speech of another length: its shape is taken, the size is that of the data.
    prior *= np.trace(scatter) / np.trace(prior)
    weight = len(prior)
    covariance = (weight * prior + freedom * scatter) / (weight + freedom)
    wccn = np.linalg.cholesky(np.linalg.inv(covariance))
    # Scores do not depend on the scale; keep it near 1 for the sake of float32.
    return Normalisation(mean, wccn / np.sqrt(np.trace(wccn @ wccn.T) / weight))
