"""The metrics against scikit-learn, and against what is known of two normal distributions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import det_curve, log_loss

from vvctl.profile import metrics

Scores = np.ndarray


def normal_scores(distance: float, targets: int, impostors: int, seed: int = 7) -> tuple[Scores, Scores]:
    """Calibrated log-likelihood ratios: N(±d²/2, d²)."""
    random = np.random.default_rng(seed)
    half = distance**2 / 2
    return random.normal(half, distance, targets), random.normal(-half, distance, impostors)


def labelled(targets: Scores, impostors: Scores) -> tuple[Scores, Scores]:
    return np.r_[np.ones(len(targets)), np.zeros(len(impostors))], np.r_[targets, impostors]


@pytest.mark.parametrize("distance", [1.0, 2.5, 4.0])
def test_eer_of_two_normal_distributions_is_the_known_one(distance: float) -> None:
    found = metrics.equal_error_rate(*normal_scores(distance, 200_000, 200_000))
    assert found == pytest.approx(norm.cdf(-distance / 2), rel=0.03)


def test_eer_lies_at_the_crossing_of_the_det_curve_of_scikit_learn() -> None:
    targets, impostors = normal_scores(2, 500, 20_000)
    accepted, rejected, _ = det_curve(*labelled(targets, impostors))
    crossing = np.argmin(np.abs(accepted - rejected))
    between = (accepted[crossing] + rejected[crossing]) / 2
    # The hull lies below the steps.
    assert between - 0.01 < metrics.equal_error_rate(targets, impostors) <= between + 1e-9


def test_rates_are_those_of_scikit_learn() -> None:
    targets, impostors = normal_scores(2, 300, 2_000)
    expected_accepted, expected_rejected, _ = det_curve(*labelled(targets, impostors))
    accepted, rejected = metrics.rates(targets, impostors)
    mine = {(round(a, 12), round(r, 12)) for a, r in zip(accepted, rejected, strict=True)}
    theirs = {(round(a, 12), round(r, 12)) for a, r in zip(expected_accepted, expected_rejected, strict=True)}
    assert theirs <= mine
    assert {(1.0, 0.0), (0.0, 1.0)} <= mine


@pytest.mark.parametrize(("prior", "miss", "alarm"), [(0.5, 1, 1), (0.01, 1, 1), (0.9, 1, 100)])
def test_minimum_cost_is_that_of_the_curve_of_scikit_learn(prior: float, miss: float, alarm: float) -> None:
    targets, impostors = normal_scores(2, 400, 4_000)
    accepted, rejected, _ = det_curve(*labelled(targets, impostors))
    costs = miss * prior * np.r_[rejected, 1.0, 0.0] + alarm * (1 - prior) * np.r_[accepted, 0.0, 1.0]
    expected = costs.min() / min(miss * prior, alarm * (1 - prior))
    found = metrics.minimum_cost(targets, impostors, prior=prior, cost_false_reject=miss, cost_false_accept=alarm)
    assert found == pytest.approx(expected)


def test_cllr_is_the_balanced_log_loss_of_scikit_learn() -> None:
    targets, impostors = normal_scores(2, 300, 5_000)
    labels, ratios = labelled(targets, impostors)
    weights = np.where(labels == 1, 0.5 / len(targets), 0.5 / len(impostors))
    expected = log_loss(labels, 1 / (1 + np.exp(-ratios)), sample_weight=weights) / np.log(2)
    assert metrics.cllr(targets, impostors) == pytest.approx(expected, rel=1e-9)


def test_minimum_cllr_is_that_of_the_isotonic_regression_of_scikit_learn() -> None:
    targets, impostors = normal_scores(2, 300, 3_000)
    # Rounded, so that there are ties.
    targets, impostors = targets.round(1), impostors.round(1)
    labels, scores = labelled(targets, impostors)
    weights = np.where(labels == 1, 0.5 / len(targets), 0.5 / len(impostors))
    posterior = IsotonicRegression(y_min=0, y_max=1).fit(scores, labels, sample_weight=weights).predict(scores)
    expected = log_loss(labels, posterior, sample_weight=weights) / np.log(2)
    assert metrics.minimum_cllr(targets, impostors) == pytest.approx(expected, rel=1e-6)


def test_calibrated_ratios_lose_little_and_shifted_ones_much() -> None:
    targets, impostors = normal_scores(3, 20_000, 20_000)
    least = metrics.minimum_cllr(targets, impostors)
    assert 0 <= metrics.cllr(targets, impostors) - least < 0.005
    assert metrics.cllr(targets + 4, impostors + 4) > 2 * least
    assert metrics.minimum_cllr(targets + 4, impostors + 4) == pytest.approx(least)


def test_separated_scores_have_no_error() -> None:
    targets, impostors = np.array([5.0, 6.0]), np.array([-3.0, -2.0, -1.0])
    assert metrics.equal_error_rate(targets, impostors) == 0
    assert metrics.minimum_cllr(targets, impostors) == 0
    assert metrics.minimum_cost(targets, impostors, prior=0.01) == 0


def test_scores_that_say_nothing_are_called_so() -> None:
    same = np.zeros(10)
    assert metrics.equal_error_rate(same, same) == pytest.approx(0.5)
    assert metrics.minimum_cllr(same, same) == pytest.approx(1)
    assert metrics.cllr(same, same) == pytest.approx(1)
    assert metrics.minimum_cost(same, same, prior=0.5) == pytest.approx(1)
