"""How good scores and log-likelihood ratios are, by the formulas of the speaker recognition evaluations.

`targets` are the scores or natural log-likelihood ratios of trials with the same speaker, `impostors` those of trials
with another; both (n,) with at least one value. A trial is accepted when its score reaches the threshold.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

Scores = NDArray[np.float64]


class Rates(NamedTuple):
    """At each threshold the share of impostors accepted (FAR) and of targets rejected (FRR), each (n,).

    From accepting everything (1, 0) to accepting nothing (0, 1).
    """

    false_accept: Scores
    false_reject: Scores


def rates(targets: Scores, impostors: Scores) -> Rates:
    """The steps of the ROC: one point for each distinct score, and one above all."""
    thresholds = np.append(np.unique(np.concatenate([targets, impostors])), np.inf)
    rejected = np.searchsorted(np.sort(targets), thresholds) / len(targets)
    accepted = 1 - np.searchsorted(np.sort(impostors), thresholds) / len(impostors)
    return Rates(accepted, rejected)


def convex_hull(targets: Scores, impostors: Scores) -> Rates:
    """The lower left convex hull of the ROC, which PAV gives: each of its segments is a block of equal posteriors.

    Brümmer and de Villiers, The BOSARIS Toolkit, 2013.
    """
    posterior, labels = _pool_adjacent_violators(targets, impostors)
    ends = np.append(np.flatnonzero(np.diff(posterior)), len(posterior) - 1) + 1
    rejected = np.concatenate([[0], np.cumsum(labels)[ends - 1]]) / len(targets)
    passed = np.concatenate([[0], np.cumsum(1 - labels)[ends - 1]]) / len(impostors)
    return Rates(1 - passed, rejected)


def equal_error_rate(targets: Scores, impostors: Scores) -> float:
    """Where the convex hull of the ROC meets FAR = FRR.

    On the hull (ROCCH-EER) rather than between two steps, so that it does not depend on how ties fall; it is at most
    the EER that interpolation gives. Brümmer and de Villiers, 2013.
    """
    accepted, rejected = convex_hull(targets, impostors)
    last = int(np.argmax(rejected >= accepted))
    gap = (accepted - rejected)[last - 1 : last + 1]
    share = gap[0] / (gap[0] - gap[1])
    return float(rejected[last - 1] + share * (rejected[last] - rejected[last - 1]))


def minimum_cost(
    targets: Scores, impostors: Scores, *, prior: float, cost_false_reject: float = 1.0, cost_false_accept: float = 1.0
) -> float:
    """minDCF: the smallest C_fr·π·FRR + C_fa·(1-π)·FAR of any threshold, as a share of what deciding blindly costs.

    `prior` is the probability of a target. NIST Speaker Recognition Evaluation plan, 2019, section 3.
    """
    accepted, rejected = rates(targets, impostors)
    reject_all, accept_all = cost_false_reject * prior, cost_false_accept * (1 - prior)
    return float((reject_all * rejected + accept_all * accepted).min() / min(reject_all, accept_all))


def cllr(targets: Scores, impostors: Scores) -> float:
    """The cost of log-likelihood ratios in bits: 0 is perfect, 1 says nothing, above 1 misleads.

    ½·[mean over targets of log2(1 + e^-llr) + mean over impostors of log2(1 + e^llr)]: Brümmer and du Preez,
    Application-independent evaluation of speaker detection, Computer Speech and Language 20, 2006.
    """
    missed = np.logaddexp(0, -targets).mean()
    accepted = np.logaddexp(0, impostors).mean()
    return float((missed + accepted) / (2 * np.log(2)))


def minimum_cllr(targets: Scores, impostors: Scores) -> float:
    """The Cllr that the best monotonic calibration of these very scores would have (by PAV; Brümmer and du Preez)."""
    posterior, labels = _pool_adjacent_violators(targets, impostors)
    with np.errstate(divide="ignore"):
        ratios = np.log(posterior) - np.log1p(-posterior) - np.log(len(targets) / len(impostors))
    return cllr(ratios[labels == 1], ratios[labels == 0])


def _pool_adjacent_violators(targets: Scores, impostors: Scores) -> tuple[Scores, NDArray[np.int64]]:
    """The posterior of each trial and its label (1 for a target), in the order of their scores.

    Trials of one score are one group, whatever their labels.
    """
    scores = np.concatenate([targets, impostors])
    labels = np.concatenate([np.ones(len(targets), np.int64), np.zeros(len(impostors), np.int64)])
    order = np.argsort(scores, kind="stable")
    labels = labels[order]
    _, groups, counts = np.unique(scores[order], return_inverse=True, return_counts=True)
    shares = np.bincount(groups, weights=labels) / counts
    return np.asarray(isotonic_regression(shares, weights=counts).x)[groups], labels
