from __future__ import annotations

import numpy as np
import pytest

from voice_verify.engine import AudioSourceProfile
from vvctl.profile import evaluate, trials
from vvctl.profile.normalisation import Normalisation

from . import synthetic


def test_a_voiceprint_is_never_tested_with_its_own_take() -> None:
    built = trials.build(synthetic.speakers(4), enrolment_s=20)
    # Two voiceprints of one take each, three takes: two others each, at six lengths.
    assert built.target.sum() == 4 * 2 * 2 * 6
    assert (~built.target).sum() == 4 * 2 * 9 * 6
    scores = built.scores((built.voiceprints, built.tests))
    # The first 20 s of the same take would score 1.
    assert scores[built.seconds == 20].max() < 0.99


def test_a_voiceprint_of_short_takes_is_made_of_as_many_as_it_needs() -> None:
    built = trials.build(synthetic.speakers(2, sessions=4, seconds=8), enrolment_s=20)
    # Three of the four are needed, one is left.
    assert built.target[built.seconds == 5].sum() == 2 * 2
    assert built.one_session == ()
    assert built.lengths() == [1, 2, 3, 5]


def test_speakers_with_one_session_are_split_and_named() -> None:
    built = trials.build(synthetic.speakers(3, sessions=1, seconds=30), enrolment_s=20)
    assert built.one_session == ("s00", "s01", "s02")
    assert built.lengths() == [1, 2, 3, 5, 10]
    assert built.target[built.seconds == 10].sum() == 3


def test_speakers_with_too_little_speech_are_counted_not_used() -> None:
    takes = [*synthetic.speakers(2), *(synthetic.take("short", "call", np.ones((20, 192))),)]
    built = trials.build(takes, enrolment_s=20)
    assert built.speakers == ("s00", "s01")
    assert built.excluded == {"short": 20}


def test_one_speaker_with_many_takes_is_not_tested_more_than_others() -> None:
    many = synthetic.speakers(1, sessions=40, seconds=22)
    built = trials.build([*many, *synthetic.speakers(3, seed=5)[3:]], enrolment_s=20)
    assert built.target[(built.speaker_enrolled == 0) & (built.seconds == 1)].sum() <= 2 * trials.MAX_TESTS


def test_a_second_voiceprint_makes_no_second_independent_trial() -> None:
    built = trials.build(synthetic.speakers(3), enrolment_s=20)
    rows = ~built.target & (built.seconds == 5)
    assert rows.sum() == 3 * 2 * 6
    assert built.distinct(rows) == 3 * 6


def test_trials_are_scored_as_the_service_scores(base: AudioSourceProfile) -> None:
    random = np.random.default_rng(3)
    wccn = (np.eye(192) + random.normal(scale=0.02, size=(192, 192))).astype(np.float32)
    profile = base.model_copy(update={"mean": random.normal(scale=0.02, size=192).astype(np.float32), "wccn": wccn})
    assert profile.mean is not None
    built = trials.build(synthetic.speakers(3), enrolment_s=20)
    scores = built.scores(Normalisation(profile.mean.astype(float), wccn.astype(float)).sides(built))
    ratios = evaluate.ratios(built, profile)
    for row in random.integers(0, len(scores), 20):
        expected = profile.score(built.voiceprints[built.enrolment[row]], built.tests[built.test[row]])
        assert scores[row] == pytest.approx(expected, abs=1e-5)
        assert ratios[row] == pytest.approx(profile.log_likelihood_ratio(expected, built.seconds[row]), abs=1e-3)
