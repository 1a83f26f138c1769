"""Real speakers through the whole engine: the right one is verified, another is not."""

from __future__ import annotations

import numpy as np
import pytest

from voice_verify.audio import g711
from voice_verify.engine import Engine, packaged_profile, packaged_profiles, pool

# One speaker a voice: Allison speaks both English and Spanish, so only one of hers.
SPEAKERS = ["en_US_f_Allison", "fr_CA_f_June", "it_IT_f_Menardi", "it_IT_m_Carlo", "ru_RU_f_IvrvoiceRU"]


@pytest.fixture(scope="module")
def voiceprints(engine: Engine, speech) -> dict[str, np.ndarray]:
    found = {}
    for speaker in SPEAKERS:
        voice = engine.analyse(speech(speaker, 0, 30))
        assert packaged_profile("mixed").enrolment_reasons(voice) == ()
        assert voice.embedding is not None
        assert voice.embedding.shape == (192,)
        assert np.linalg.norm(voice.embedding) == pytest.approx(1, abs=1e-5)
        found[speaker] = voice.embedding
    return found


@pytest.mark.parametrize("profile", packaged_profiles())
@pytest.mark.parametrize("speaker", SPEAKERS)
def test_the_right_speaker_is_verified(engine: Engine, speech, voiceprints, profile: str, speaker: str) -> None:
    decision = packaged_profile(profile).decide(voiceprints[speaker], engine.analyse(speech(speaker, 60, 12)))
    assert (decision.decision, decision.reason) == ("verified", "ok")


@pytest.mark.parametrize("profile", packaged_profiles())
@pytest.mark.parametrize("speaker", SPEAKERS)
def test_no_other_speaker_is_verified(engine: Engine, speech, voiceprints, profile: str, speaker: str) -> None:
    voice = engine.analyse(speech(speaker, 60, 12))
    for other in SPEAKERS:
        if other != speaker:
            decision = packaged_profile(profile).decide(voiceprints[other], voice)
            assert decision.decision != "verified", other
            assert decision.log_likelihood_ratio is not None
            assert decision.log_likelihood_ratio < 0, other


def test_a_very_different_speaker_is_refused(engine: Engine, speech, voiceprints) -> None:
    decision = packaged_profile("mixed").decide(
        voiceprints["it_IT_m_Carlo"], engine.analyse(speech("en_US_f_Allison", 60, 12))
    )
    assert decision.decision == "not_verified"


def test_one_second_of_speech_is_judged_but_not_surely(engine: Engine, speech, voiceprints) -> None:
    voice = engine.analyse(speech("fr_CA_f_June", 60, 1.9))
    assert voice.net_speech_s == 1
    decision = packaged_profile("mixed").decide(voiceprints["fr_CA_f_June"], voice)
    assert decision.reason == "ok"
    assert decision.log_likelihood_ratio is not None


def test_a_telephone_codec_does_not_change_the_speaker(engine: Engine, speech, voiceprints) -> None:
    samples = speech("it_IT_f_Menardi", 60, 12)
    table = g711.decode_alaw(bytes(range(256)))
    order = np.argsort(table)
    nearest = np.searchsorted((table[order][1:] + table[order][:-1]) / 2, samples)
    decoded = g711.decode_alaw(order[nearest].astype(np.uint8).tobytes())
    assert (
        packaged_profile("mixed").decide(voiceprints["it_IT_f_Menardi"], engine.analyse(decoded)).decision == "verified"
    )


def test_several_recordings_make_one_voiceprint(engine: Engine, speech, voiceprints) -> None:
    parts = [engine.analyse(speech("it_IT_m_Carlo", start, 8)) for start in (0, 8, 16)]
    whole = engine.analyse(speech("it_IT_m_Carlo", 0, 24)).embedding
    pooled = pool(parts)
    assert whole is not None
    assert pooled.embedding is not None
    assert pooled.net_speech_s == sum(part.net_speech_s for part in parts)
    assert pooled.audio_s == 24
    assert float(pooled.embedding @ whole) > 0.98


def test_noise_and_clipping_are_noticed(engine: Engine, speech) -> None:
    profile = packaged_profile("g711-clean")
    samples = speech("it_IT_m_Carlo", 0, 30)
    noise = np.random.default_rng(3).standard_normal(len(samples)).astype(np.float32)
    level = np.sqrt((samples**2).mean())
    measured = []
    for snr_db in (30, 20, 5):
        voice = engine.analyse(samples + noise * level * np.float32(10 ** (-snr_db / 20)))
        assert voice.quality.snr_db is not None
        measured.append(voice.quality.snr_db)
    # Pauses lower the mean level of the recording, so speech stands a little higher than the nominal SNR.
    assert measured == pytest.approx([30, 20, 5], abs=3)
    assert profile.enrolment_reasons(voice) in {("low_snr",), ("not_enough_speech",), ("not_enough_speech", "low_snr")}
    clipped = engine.analyse(np.clip(samples * 30, -1, 1))
    assert clipped.quality.clipped_share > 0.1
    assert profile.enrolment_reasons(clipped) == ("clipped",)
