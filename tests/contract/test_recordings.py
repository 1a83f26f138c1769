"""Enrolment and verification from uploaded recordings."""

from __future__ import annotations

import math

import numpy as np
import pytest

from .running import Service
from .speech import ANNA, BRUNO, ENROLMENT, TEST, samples, wav


def test_verifies_the_right_speaker(service: Service) -> None:
    answer = service.verify(ANNA, wav(samples(ANNA, TEST, 10)))
    assert answer.status_code == 200, answer.text
    result = answer.json()
    assert (result["decision"], result["reason"], result["profile"]) == ("verified", "ok", "mixed")
    assert 0 < result["net_speech_s"] <= result["audio_window"]["end_s"] == 10
    assert result["log_likelihood_ratio"] > math.log(99)


@pytest.mark.parametrize(("claimed", "speaking"), [(ANNA, BRUNO), (BRUNO, ANNA)])
def test_does_not_verify_the_other_speaker(service: Service, claimed: str, speaking: str) -> None:
    assert service.verify(claimed, wav(samples(speaking, TEST, 10))).json()["decision"] == "not_verified"


def test_joins_several_recordings_into_one_enrolment(service: Service) -> None:
    audio = samples(ANNA, ENROLMENT, 30)
    answer = service.enrol("joined", *(wav(part) for part in np.array_split(audio, 3)))
    assert answer.status_code == 200, answer.text
    assert answer.json()["net_speech_s"] >= 20


def test_enrolling_again_replaces_the_voiceprint(service: Service) -> None:
    first = service.enrol("replaced", wav(samples(ANNA, ENROLMENT, 30))).json()
    second = service.enrol("replaced", wav(samples(BRUNO, ENROLMENT, 30))).json()
    assert second["created"] == first["created"] < second["updated"]
    assert service.verify("replaced", wav(samples(BRUNO, TEST, 10))).json()["decision"] == "verified"


def test_an_unknown_speaker_is_not_sure_and_says_why(service: Service) -> None:
    answer = service.verify("never-enrolled", wav(samples(ANNA, TEST, 5))).json()
    assert (answer["decision"], answer["score"], answer["reason"]) == ("not_sure", None, "speaker_not_enrolled")
