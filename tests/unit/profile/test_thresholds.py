from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom

from vvctl.profile import thresholds, trials
from vvctl.profile.errors import UnsupportedRate
from vvctl.profile.measure import Judged, Working, figures

from . import synthetic


@pytest.fixture(scope="module")
def judged() -> Judged:
    """Calibrated log-likelihood ratios for the trials of 30 speakers."""
    built = trials.build(synthetic.speakers(30), enrolment_s=20)
    random = np.random.default_rng(8)
    ratios = random.normal(scale=3, size=len(built.test)) + np.where(built.target, 4.5, -4.5)
    return Judged(built, ratios)


def test_rates_are_kept_at_every_length(judged: Judged) -> None:
    chosen = thresholds.from_rates(judged, max_far=0.01, max_frr=0.05)
    rows = figures(judged, chosen.verified, chosen.not_verified, Working())
    assert all(row.false_accept <= 0.01 and row.false_reject <= 0.05 for row in rows)
    assert max(row.false_accept for row in rows) > 0.008
    assert chosen.not_verified < chosen.verified


def test_rates_that_are_easily_kept_leave_a_range_that_is_not_sure(judged: Judged) -> None:
    chosen = thresholds.from_rates(judged, max_far=0.3, max_frr=0.3)
    rows = figures(judged, chosen.verified, chosen.not_verified, Working())
    assert chosen.not_verified < chosen.verified
    assert all(row.false_accept <= 0.3 and row.false_reject <= 0.3 for row in rows)


def test_one_rate_leaves_the_other_threshold_at_its_default(judged: Judged) -> None:
    assert thresholds.from_rates(judged, max_far=0.01, max_frr=None).not_verified == -math.log(99)
    assert thresholds.from_rates(judged, max_far=None, max_frr=0.05).verified == math.log(99)


def test_a_rate_that_the_trials_cannot_show_is_refused_with_what_is_missing(judged: Judged) -> None:
    # 30 speakers against 87 takes of others each.
    with pytest.raises(UnsupportedRate, match=r"takes 30000 impostor trials .* there are 2610 .* 27390 are missing"):
        thresholds.from_rates(judged, max_far=0.0001, max_frr=None)


def test_a_rate_that_the_trials_barely_show_comes_with_a_warning(judged: Judged) -> None:
    assert thresholds.from_rates(judged, max_far=0.05, max_frr=None).warnings == ()
    (warning,) = thresholds.from_rates(judged, max_far=0.002, max_frr=None).warnings
    assert "15000 would pin it down" in warning


def test_costs_give_the_thresholds_of_least_expected_cost() -> None:
    false_accept, false_reject, not_sure, prior = 100.0, 1.0, 0.1, 0.9
    chosen = thresholds.from_costs(false_accept, false_reject, not_sure, prior)

    def cheapest(ratio: float) -> str:
        posterior = 1 / (1 + math.exp(-ratio) * (1 - prior) / prior)
        costs = {
            "verified": (1 - posterior) * false_accept,
            "not_verified": posterior * false_reject,
            "not_sure": not_sure,
        }
        return min(costs, key=lambda name: costs[name])

    assert [cheapest(chosen.verified + step) for step in (-0.01, 0.01)] == ["not_sure", "verified"]
    assert [cheapest(chosen.not_verified + step) for step in (-0.01, 0.01)] == ["not_verified", "not_sure"]


def test_costs_at_which_asking_never_pays_are_refused() -> None:
    with pytest.raises(UnsupportedRate, match="never pays"):
        thresholds.from_costs(100, 1, 1, 0.9)


@pytest.mark.parametrize(("errors", "count"), [(0, 300), (3, 300), (30, 1000)])
def test_the_upper_bound_is_where_so_few_errors_become_unlikely(errors: int, count: int) -> None:
    bound = thresholds.upper_bound(errors, count)
    assert binom.cdf(errors, count, bound) == pytest.approx(0.05, abs=1e-6)


def test_the_rule_of_three_is_the_bound_without_errors() -> None:
    assert thresholds.upper_bound(0, 300) == pytest.approx(3 / 300, rel=0.01)
