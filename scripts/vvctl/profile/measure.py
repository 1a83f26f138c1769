"""Trials that were judged, and the figures that say how well: by net speech, and altogether."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vvctl.profile import metrics
from vvctl.profile.trials import Trials

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """`ratios`: the natural log-likelihood ratio (n,) of each of the trials."""

    trials: Trials
    ratios: Numbers

    @property
    def targets(self) -> Numbers:
        return np.asarray(self.ratios[self.trials.target])

    @property
    def impostors(self) -> Numbers:
        return np.asarray(self.ratios[~self.trials.target])

    def by_length(self) -> Iterator[Judged]:
        """One after the other the trials of each length."""
        for length in self.trials.lengths():
            rows = self.trials.seconds == length
            yield Judged(self.trials.only(rows), self.ratios[rows])

    def independent(self, *, targets: bool) -> int:
        """Trials of that kind, several voiceprints of one speaker counted as one."""
        return self.trials.distinct(self.trials.target == targets)


@dataclass(frozen=True)
class Working:
    """The working point that minDCF is given for."""

    prior: float = 0.9
    cost_false_accept: float = 100.0
    cost_false_reject: float = 1.0


@dataclass(frozen=True)
class Figures:
    """Rates are shares of 1. `false_accept`: impostors verified; `false_reject`: targets not verified.

    `unsure_targets` and `unsure_impostors`: answered `not sure`. Metrics are None without trials of both kinds.
    """

    seconds: int
    targets: int
    impostors: int
    eer: float | None
    min_dcf: float | None
    cllr: float | None
    min_cllr: float | None
    verified: float
    false_reject: float
    unsure_targets: float
    false_accept: float
    rejected_impostors: float
    unsure_impostors: float


def figures(judged: Judged, verified: float, not_verified: float, working: Working) -> list[Figures]:
    """A row for each length, at these thresholds of the log-likelihood ratio."""
    return [_row(part, verified, not_verified, working) for part in judged.by_length()]


def _row(part: Judged, verified: float, not_verified: float, working: Working) -> Figures:
    targets, impostors = part.targets, part.impostors
    both = len(targets) > 0 and len(impostors) > 0
    costs = {
        "prior": working.prior,
        "cost_false_accept": working.cost_false_accept,
        "cost_false_reject": working.cost_false_reject,
    }
    accepted, rejected = _share(targets >= verified), _share(targets <= not_verified)
    false_accept, true_reject = _share(impostors >= verified), _share(impostors <= not_verified)
    return Figures(
        seconds=int(part.trials.seconds[0]),
        targets=len(targets),
        impostors=len(impostors),
        eer=metrics.equal_error_rate(targets, impostors) if both else None,
        min_dcf=metrics.minimum_cost(targets, impostors, **costs) if both else None,
        cllr=metrics.cllr(targets, impostors) if both else None,
        min_cllr=metrics.minimum_cllr(targets, impostors) if both else None,
        verified=accepted,
        false_reject=rejected,
        unsure_targets=1 - accepted - rejected,
        false_accept=false_accept,
        rejected_impostors=true_reject,
        unsure_impostors=1 - false_accept - true_reject,
    )


def _share(rows: NDArray[np.bool_]) -> float:
    return float(rows.mean()) if len(rows) else 0.0
