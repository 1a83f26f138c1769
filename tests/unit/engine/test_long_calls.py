"""Ten minutes of one call: the decision stays what it was, and the score does not drift with the length."""

from __future__ import annotations

import time
from uuid import uuid4

import numpy as np
import pytest

from voice_verify.engine import SAMPLE_RATE, Decision, Engine, Overloaded, Voice, packaged_profile

SPEAKER, IMPOSTOR = "it_IT_m_Carlo", "fr_CA_f_June"
CALL_S = 600
BLOCK = SAMPLE_RATE // 2


def decisions(engine: Engine, speech, caller: str, start: float) -> list[Decision]:
    """The decisions about SPEAKER after each second of speech of a ten-minute call of `caller`."""
    profile = packaged_profile("mixed")
    voiceprint = engine.analyse(speech(SPEAKER, 0, 30)).embedding
    assert voiceprint is not None
    seen: list[Voice] = []
    stream = uuid4()
    engine.open_stream(stream, lambda _stream, voice: seen.append(voice))
    samples = speech(caller, start, CALL_S)
    for begin in range(0, len(samples), BLOCK):
        push_when_there_is_room(engine, stream, samples[begin : begin + BLOCK])
    last = engine.close_stream(stream)
    assert last.audio_s == CALL_S
    assert last.net_speech_s > 400
    return [profile.decide(voiceprint, voice) for voice in seen if voice.net_speech_s >= 20]


def push_when_there_is_room(engine: Engine, stream, samples) -> None:
    while True:
        try:
            return engine.push(stream, samples)
        except Overloaded:
            time.sleep(0.1)


@pytest.mark.parametrize(
    ("caller", "start", "expected"), [(SPEAKER, 30, "verified"), (IMPOSTOR, 0, "not_verified")], ids=["own", "foreign"]
)
def test_a_ten_minute_call_is_decided_the_same_all_along(
    engine: Engine, speech, caller: str, start: float, expected: str
) -> None:
    made = decisions(engine, speech, caller, start)
    assert {decision.decision for decision in made} == {expected}
    ratios = np.array([decision.log_likelihood_ratio for decision in made], dtype=float)
    first, last = ratios[: len(ratios) // 4], ratios[-len(ratios) // 4 :]
    # A formula that went on growing with the length would move by several units.
    assert abs(last.mean() - first.mean()) < 2.0
    assert last.std() < 1.0
