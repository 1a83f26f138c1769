"""The statistics of a fit, on voices whose model is known."""

from __future__ import annotations

import numpy as np
import pytest

from voice_verify.engine import AudioSourceProfile
from vvctl.profile import calibration, crossvalidation, evaluate, metrics, thresholds, trials
from vvctl.profile.calibration import Calibration
from vvctl.profile.crossvalidation import Start
from vvctl.profile.errors import NotSeparable, TooLittleData
from vvctl.profile.fit import MIN_SPEAKERS, Fit, fit
from vvctl.profile.measure import Judged
from vvctl.profile.normalisation import Normalisation, adapt, pieces_of

from . import synthetic

# Alike enough for errors: with the default spreads nobody is ever mistaken.
HARD = {"session_spread": 1.6, "word_spread": 4.0}


@pytest.fixture(scope="module")
def fitted(base: AudioSourceProfile) -> Fit:
    takes = synthetic.speakers(30, **HARD)
    return fit(takes, base, name="customer", version=3, choose=lambda _: thresholds.default())


def test_known_parameters_are_recovered(start: Start) -> None:
    random = np.random.default_rng(2)
    seconds = np.repeat([1, 2, 3, 5, 10, 20], 20_000)
    target = random.random(len(seconds)) < 0.3
    # Scores of equal variance v and means m1, m0 have llr = (m1-m0)/v·s - (m1²-m0²)/2v: choose v so that the slope
    # grows with ln L.
    variance = 0.02 / (1 + 0.3 * np.log(seconds))
    scores = np.where(target, 0.6, 0.2) + random.normal(size=len(seconds)) * np.sqrt(variance)
    found = calibration.fit(scores, target, seconds, start.calibration)
    # slope 20·(1 + 0.3 ln L), offset -8·(1 + 0.3 ln L)
    assert (found.a, found.b, found.c, found.d) == pytest.approx((20, -2.4, 6, -8), rel=0.06)
    assert (found.shortest, found.longest) == (1, 20)


def test_separated_scores_stay_near_the_start(start: Start) -> None:
    seconds = np.tile([1, 5, 20], 40)
    target = np.arange(120) < 30
    found = calibration.fit(np.where(target, 0.9, 0.1), target, seconds, start.calibration)
    assert abs(found.a - start.calibration.a) < 2 * calibration.SPREAD[0]


def test_beyond_the_fitted_range_nothing_is_extrapolated() -> None:
    known = Calibration(20, -2.4, 6, -8, 1, 10)
    inside, beyond = known.ratios(np.array([0.5, 0.5]), np.array([10, 600]))
    assert inside == beyond


def test_scores_the_wrong_way_round_are_refused(start: Start) -> None:
    random = np.random.default_rng(4)
    seconds = np.tile([1, 5, 20], 2_000)
    target = random.random(6_000) < 0.5
    with pytest.raises(NotSeparable, match="does not speak for the speaker"):
        calibration.fit(np.where(target, 0.2, 0.6) + random.normal(scale=0.2, size=6_000), target, seconds,
                        start.calibration)  # fmt: skip


def test_normalisation_learns_the_directions_that_vary_within_speakers(plain: Normalisation) -> None:
    random = np.random.default_rng(6)
    takes = []
    for number in range(60):
        place = random.normal(size=192)
        for session in range(6):
            # One channel direction drowns the voice.
            chunks = place + random.normal(scale=0.3, size=(20, 192))
            chunks[:, 0] += random.normal(scale=12)
            takes.append(synthetic.take(f"s{number}", f"c{session}", chunks))
    learned = adapt(plain, pieces_of(takes))
    gains = np.linalg.norm(learned.wccn, axis=1)
    assert gains[0] < 0.4 * np.median(gains)


def test_few_speakers_hardly_move_the_normalisation(plain: Normalisation) -> None:
    learned = adapt(plain, pieces_of(synthetic.speakers(2, sessions=2, seconds=10)))
    assert np.abs(learned.wccn - np.eye(192)).max() < 0.1
    assert np.abs(learned.mean).max() < 0.01


def test_every_trial_is_judged_without_either_of_its_speakers() -> None:
    built = trials.build(synthetic.speakers(11), enrolment_s=20)
    judged_times = np.zeros(len(built.test), int)
    for judged, seen, unseen in crossvalidation._blocks(built):
        judged_times += judged
        assert not (judged & seen).any()
        for rows, allowed in ((judged, True), (seen, False)):
            names = {built.speakers[index] for index in np.r_[built.speaker_enrolled[rows], built.speaker_tested[rows]]}
            assert names <= unseen if allowed else not names & unseen
    assert (judged_times == 1).all()


def test_no_knowledge_of_a_speaker_leaks_into_its_own_judgement(start: Start) -> None:
    """Another voice in one speaker's place changes nothing between the others that were judged without it."""
    takes = synthetic.speakers(10, seconds=25, **HARD)
    changed = [*synthetic.speakers(1, seconds=25, seed=99, **HARD), *takes[3:]]
    ratios = []
    for data in (takes, changed):
        built = trials.build(data, enrolment_s=20)
        ratios.append(crossvalidation.held_out(built, pieces_of(data), start))
    fold = np.random.default_rng(crossvalidation._SEED).permutation(10) % crossvalidation.FOLDS
    same_fold = fold == fold[0]
    others = np.arange(10) != 0
    enrolled, tested = built.speaker_enrolled, built.speaker_tested
    beside = others[enrolled] & others[tested] & (same_fold[enrolled] | same_fold[tested])
    apart = ~same_fold[enrolled] & ~same_fold[tested]
    np.testing.assert_allclose(ratios[0][beside], ratios[1][beside])
    assert not np.allclose(ratios[0][apart], ratios[1][apart])


def test_held_out_figures_hold_for_new_speakers(fitted: Fit) -> None:
    """Coverage: what cross-validation promises is what 100 speakers that the fit never met see."""
    new = trials.build(synthetic.speakers(100, seed=77, **HARD), enrolment_s=20)
    met = Judged(new, evaluate.ratios(new, fitted.profile))
    for promised, seen in zip(fitted.judged.by_length(), met.by_length(), strict=True):
        assert metrics.equal_error_rate(promised.targets, promised.impostors) == pytest.approx(
            metrics.equal_error_rate(seen.targets, seen.impostors), abs=0.05
        )
        assert metrics.cllr(seen.targets, seen.impostors) < metrics.minimum_cllr(seen.targets, seen.impostors) + 0.08


def test_the_profile_says_what_it_was_made_of_and_names_nobody(fitted: Fit) -> None:
    profile = fitted.profile
    assert (profile.name, profile.version, profile.fitted_s.shortest, profile.fitted_s.longest) == (
        "customer",
        3,
        1,
        20,
    )
    assert "30 speakers" in profile.provenance
    assert "s00" not in profile.model_dump_json()
    assert profile.limits.minimum_snr_db == 15
    assert type(profile).model_validate_json(profile.model_dump_json()).score(*profile.wccn[:2]) == pytest.approx(
        profile.score(*profile.wccn[:2]), abs=1e-6
    )


@pytest.mark.parametrize(
    ("count", "seconds", "named"),
    [(MIN_SPEAKERS - 8, 26, "8 more speaker"), (MIN_SPEAKERS, 4, "20 more speaker")],
    ids=["speakers", "speech"],
)
def test_too_little_data_is_refused_with_what_is_missing(
    base: AudioSourceProfile, count: int, seconds: int, named: str
) -> None:
    with pytest.raises(TooLittleData, match=named):
        fit(
            synthetic.speakers(count, seconds=seconds), base, name="x", version=1, choose=lambda _: thresholds.default()
        )


def test_lengths_that_few_speakers_reach_are_left_out(base: AudioSourceProfile) -> None:
    takes = synthetic.speakers(MIN_SPEAKERS, sessions=5, seconds=9)
    found = fit(takes, base, name="x", version=1, choose=lambda _: thresholds.default())
    assert found.profile.fitted_s.longest == 5
