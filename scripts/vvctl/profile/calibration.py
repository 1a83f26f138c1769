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


SPREAD = np.array([7.0, 2.5, 2.0, 4.0])
"""Half of what a, b, c and d differ by between the packaged profiles of a clean and of a noisy channel."""


def fit(scores: Numbers, target: NDArray[np.bool_], seconds: NDArray[np.int64], start: Calibration) -> Calibration:
    """Logistic regression on trials (n,), both classes and all lengths weighing alike.

    Where scores are separated, the likeliest slope is infinite, and few trials say little of rare errors. So it is the
    maximum a posteriori: the prior is normal around `start` with SPREAD, the evidence weighs as many trials as there
    are targets of one length, and hundreds of them outweigh the prior. Brümmer and du Preez, Computer Speech and
    Language 20, 2006; why it must be held back: Morrison and Poh, Science & Justice 58, 2018.
    Raises NotSeparable when a higher score does not speak for the speaker at every length.
    """
    duration = np.log(seconds)
    features = np.column_stack([scores, duration, scores * duration, np.ones(len(scores))])
    lengths = np.unique(seconds)
    weights = np.zeros(len(target))
    for length in lengths:
        for label in (True, False):
            rows = (seconds == length) & (target == label)
            weights[rows] = 1 / max(1, int(rows.sum()))
    weights *= target.sum() / len(lengths) / weights.sum()
    centre = np.array([start.a, start.b, start.c, start.d])

    def cost(moved: Numbers) -> tuple[float, Numbers]:
        logits = features @ (centre + SPREAD * moved)
        loss = weights @ (np.logaddexp(0, logits) - target * logits) + moved @ moved / 2
        return float(loss), SPREAD * (features.T @ (weights * (expit(logits) - target))) + moved

    found = minimize(cost, np.zeros(4), jac=True, method="BFGS")
    a, b, c, d = (centre + SPREAD * found.x).tolist()
    shortest, longest = float(seconds.min()), float(seconds.max())
    if min(a + c * np.log(shortest), a + c * np.log(longest)) <= 0:
        raise NotSeparable(
            "a higher score does not speak for the speaker in these recordings",
            hint="are the recordings in the right folders? listen to some",
        )
    return Calibration(a, b, c, d, shortest, longest)
