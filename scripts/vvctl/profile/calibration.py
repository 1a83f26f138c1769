"""The duration-aware calibration: scores to log-likelihood ratios."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from vvctl.profile.errors import NotSeparable

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """`llr = a*s + b*ln L + c*s*ln L + d`, for L from `shortest` to `longest` seconds, clamped beyond."""

    a: float
    b: float
    c: float
    d: float
    shortest: float
    longest: float

    def ratios(self, scores: Numbers, seconds: NDArray[np.int64]) -> Numbers:
        """Natural log-likelihood ratios (n,) of scores (n,) on that much net speech (n,)."""
        duration = np.log(np.clip(seconds, self.shortest, self.longest))
        return np.asarray(self.a * scores + self.b * duration + self.c * scores * duration + self.d)


def fit(scores: Numbers, target: NDArray[np.bool_], seconds: NDArray[np.int64]) -> Calibration:
    """Logistic regression on trials (n,), both classes and all lengths weighing alike.

    Where scores are separated, the likeliest slope is infinite. So each length and class has one more trial's weight
    spread over it with the other label, which says that no more was seen than was seen: the uninformative prior of
    Morrison and Poh, Avoiding overstating the strength of forensic evidence, Science & Justice 58, 2018. Raises
    NotSeparable when a higher score does not speak for the speaker at every length.
    """
    duration = np.log(seconds)
    features = np.column_stack([scores, duration, scores * duration, np.ones(len(scores))])
    scale = np.maximum(np.abs(features).max(axis=0), 1e-9)
    weights, truth = _weights_and_labels(target, seconds)

    def cost(coefficients: Numbers) -> tuple[float, Numbers]:
        logits = features @ (coefficients / scale)
        loss = weights @ (np.logaddexp(0, logits) - truth * logits)
        return float(loss), features.T @ (weights * (expit(logits) - truth)) / scale

    found = minimize(cost, np.zeros(4), jac=True, method="BFGS", options={"gtol": 1e-7, "maxiter": 1000})
    a, b, c, d = (found.x / scale).tolist()
    shortest, longest = float(seconds.min()), float(seconds.max())
    if min(a + c * np.log(shortest), a + c * np.log(longest)) <= 0:
        raise NotSeparable(
            "a higher score does not speak for the speaker in these recordings",
            hint="are the recordings in the right folders? listen to some",
        )
    return Calibration(a, b, c, d, shortest, longest)


def _weights_and_labels(target: NDArray[np.bool_], seconds: NDArray[np.int64]) -> tuple[Numbers, Numbers]:
    """Weights that sum to 1, and the share of each trial that counts as a target."""
    weights, truth = np.zeros(len(target)), np.zeros(len(target))
    lengths = np.unique(seconds)
    for length in lengths:
        for label in (True, False):
            rows = (seconds == length) & (target == label)
            count = int(rows.sum())
            if count:
                weights[rows] = 0.5 / len(lengths) / count
                doubt = 1 / (count + 1)
                truth[rows] = 1 - doubt if label else doubt
    return weights, truth
