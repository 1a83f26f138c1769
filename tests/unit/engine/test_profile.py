from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from voice_verify.engine import (
    AudioSourceProfile,
    Engine,
    ProfileError,
    Quality,
    Voice,
    packaged_profile,
    packaged_profiles,
    pool,
)
from voice_verify.engine.features import FEATURE_RECIPE
from vvctl.appliance import find_root, load
from vvctl.model import build

UUIDS = {
    "g711-clean": "2b80ab51-2a92-46d7-9d47-a3b9510698e9",
    "mixed": "36c4a5de-29b5-48ea-8c54-9beab85ad9fa",
    "mobile-noisy": "3758f133-204d-4263-993c-f4aed01280fb",
}
CLEAN = Quality(snr_db=30.0, clipped_share=0.0)


def unit(*values: float) -> np.ndarray:
    vector = np.zeros(192, np.float32)
    vector[: len(values)] = values
    return vector / np.linalg.norm(vector)


def voice(embedding: np.ndarray | None, seconds: float = 10.0, quality: Quality = CLEAN) -> Voice:
    return Voice(embedding, seconds, seconds + 2, quality)


def document(**changes: Any) -> dict[str, Any]:
    """A profile without covariance normalisation, so that the score is the plain cosine."""
    return {
        "name": "test",
        "uuid": "8b7b9f2e-52a4-4c1e-9c53-7a3f6b0a7c11",
        "version": 1,
        "description": "for tests",
        "model_identity": "0" * 64,
        "a": 35.6,
        "b": -15.1,
        "c": 14.7,
        "d": -19.5,
        "fitted_s": {"shortest": 1, "longest": 20},
        "limits": {"minimum_snr_db": 10, "maximum_clipped_share": 0.02},
        "provenance": "made up",
    } | changes


def written(tmp_path: Path, content: dict[str, Any]) -> Path:
    path = tmp_path / "test.json"
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def profile(tmp_path: Path) -> AudioSourceProfile:
    return AudioSourceProfile.load(written(tmp_path, document()))


def test_three_profiles_are_packaged_with_lasting_identities() -> None:
    assert {name: str(packaged_profile(name).uuid) for name in packaged_profiles()} == UUIDS


def test_the_packaged_profile_of_the_appliance_exists() -> None:
    root = find_root(Path(__file__).parent)
    assert load(root / "appliance.yml").packaged_profile in packaged_profiles()


@pytest.mark.parametrize("name", ["g711-clean", "mobile-noisy", "mixed"])
def test_packaged_profiles_are_for_the_model_that_is_built(name: str, engine: Engine) -> None:
    root = find_root(Path(__file__).parent)
    pinned = load(root / "appliance.yml").model.embedding
    assert packaged_profile(name).model_identity == build.identity(pinned.member_sha256) == engine.model.identity


def test_engine_and_model_build_agree_on_the_features() -> None:
    assert build.FEATURE_RECIPE == FEATURE_RECIPE


def test_an_unknown_packaged_profile_is_named_with_the_known_ones() -> None:
    with pytest.raises(ProfileError, match=r"no packaged profile '\.\./secret'") as caught:
        packaged_profile("../secret")
    assert "mixed" in caught.value.hint


def test_a_profile_written_as_json_is_the_same_again() -> None:
    profile = packaged_profile("mixed")
    again = AudioSourceProfile.model_validate_json(profile.model_dump_json())
    assert profile.mean is not None
    assert profile.wccn is not None
    np.testing.assert_array_equal(again.mean, profile.mean)
    np.testing.assert_array_equal(again.wccn, profile.wccn)
    assert again.model_dump(exclude={"mean", "wccn"}) == profile.model_dump(exclude={"mean", "wccn"})


@pytest.mark.parametrize(
    "wccn", [np.zeros((2, 2)), np.ones((2, 2)), np.diag([1e-7, 1.0]), np.full((2, 2), 1e7), np.full((2, 2), np.nan)]
)
def test_refuses_arrays_that_would_make_all_voices_alike(tmp_path: Path, wccn: np.ndarray) -> None:
    content = document(mean=[0.0, 0.0], wccn=wccn.tolist())
    with pytest.raises(ProfileError, match="wccn"):
        AudioSourceProfile.load(written(tmp_path, content))


def test_score_is_the_cosine_after_covariance_normalisation() -> None:
    profile = packaged_profile("mixed")
    assert profile.mean is not None
    assert profile.wccn is not None
    one, other = unit(1, 2, 3), unit(3, 1, -1)
    expected_one = (one.astype(np.float64) - profile.mean) @ profile.wccn.astype(np.float64)
    expected_other = (other.astype(np.float64) - profile.mean) @ profile.wccn.astype(np.float64)
    cosine = expected_one @ expected_other / np.linalg.norm(expected_one) / np.linalg.norm(expected_other)
    assert profile.score(one, other) == pytest.approx(cosine, abs=1e-5)
    assert profile.score(one, one) == pytest.approx(1, abs=1e-5)


def test_without_a_cohort_the_score_is_the_plain_cosine(profile: AudioSourceProfile) -> None:
    assert profile.score(unit(1), unit(1, 1)) == pytest.approx(math.sqrt(0.5))


def test_ratio_follows_the_formula_inside_the_fitted_range(profile: AudioSourceProfile) -> None:
    assert profile.log_likelihood_ratio(0.5, 5) == pytest.approx(
        35.6 * 0.5 - 15.1 * math.log(5) + 14.7 * 0.5 * math.log(5) - 19.5
    )


def test_net_speech_is_clamped_to_the_fitted_range(profile: AudioSourceProfile) -> None:
    assert profile.log_likelihood_ratio(0.8, 600) == profile.log_likelihood_ratio(0.8, 20)
    assert profile.log_likelihood_ratio(0.8, 0.2) == profile.log_likelihood_ratio(0.8, 1)


@pytest.mark.parametrize(
    ("cosine", "decision"), [(0.99, "verified"), (0.3, "not_verified")], ids=["same direction", "another direction"]
)
def test_clear_scores_are_decided(profile: AudioSourceProfile, cosine: float, decision: str) -> None:
    found = profile.decide(unit(1), voice(unit(cosine, math.sqrt(1 - cosine**2))))
    assert (found.decision, found.reason) == (decision, "ok")
    assert found.score == pytest.approx(cosine, abs=1e-6)


def test_between_the_thresholds_it_is_not_sure(profile: AudioSourceProfile) -> None:
    cosine = 0.78
    found = profile.decide(unit(1), voice(unit(cosine, math.sqrt(1 - cosine**2))))
    assert abs(found.log_likelihood_ratio or 99) < math.log(99)
    assert (found.decision, found.reason) == ("not_sure", "ok")


@pytest.mark.parametrize(
    ("heard", "reason"),
    [
        (voice(None, 0), "not_enough_speech"),
        (voice(unit(1), 0.5), "not_enough_speech"),
        (voice(unit(1), quality=Quality(4.0, 0.0)), "low_snr"),
        (voice(unit(1), quality=Quality(30.0, 0.2)), "clipped"),
    ],
    ids=["nothing", "too little", "noise", "clipping"],
)
def test_audio_that_cannot_be_judged_is_not_sure_and_says_why(
    profile: AudioSourceProfile, heard: Voice, reason: str
) -> None:
    found = profile.decide(unit(1), heard)
    assert (found.decision, found.reason) == ("not_sure", reason)


def test_an_unknown_snr_does_not_count_against_the_caller(profile: AudioSourceProfile) -> None:
    assert profile.decide(unit(1), voice(unit(1), quality=Quality(None, 0.0))).decision == "verified"


def test_a_voiceprint_of_another_model_is_not_compared(profile: AudioSourceProfile) -> None:
    found = profile.decide(unit(1), voice(unit(1)), voiceprint_model="f" * 64)
    assert (found.decision, found.reason, found.score) == ("not_sure", "model_mismatch", None)
    assert profile.decide(unit(1), voice(unit(1)), voiceprint_model="0" * 64).decision == "verified"


def test_enrolment_needs_more_speech_than_verification(profile: AudioSourceProfile) -> None:
    assert profile.enrolment_reasons(voice(unit(1), 19)) == ("not_enough_speech",)
    assert profile.enrolment_reasons(voice(unit(1), 20)) == ()
    assert profile.enrolment_reasons(voice(unit(1), 20, Quality(3.0, 0.0))) == ("low_snr",)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"minimum_snr": 3}, "minimum_snr"),
        ({"uuid": "none"}, "uuid"),
        ({"a": float("nan")}, "a: "),
        ({"thresholds": {"verified": -1, "not_verified": 1}}, "must lie below verified"),
        ({"fitted_s": {"shortest": 20, "longest": 1}}, "longest"),
        ({"fitted_s": {"shortest": 0, "longest": 1}}, "fitted_s.shortest"),
        ({"a": -50}, "less likely"),
        ({"mean": [0.0] * 192}, "one of them is missing"),
        ({"mean": [0.0] * 192, "wccn": [[1.0]]}, "do not fit together"),
        ({"mean": ["x"], "wccn": [[1.0]]}, "must be an array of numbers"),
        ({"cohort": {"file": "../other.npz", "sha256": "0" * 64}}, "file"),
        ({"cohort": {"file": "none.npz", "sha256": "0" * 64}}, "cannot be read"),
    ],
)
def test_refuses_a_wrong_profile_by_name(tmp_path: Path, change: dict[str, Any], named: str) -> None:
    with pytest.raises(ProfileError, match=named):
        AudioSourceProfile.load(written(tmp_path, document(**change)))


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff\xfe{", b"{"], ids=["empty", "list", "not text", "cut off"])
def test_refuses_what_is_no_profile(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "test.json"
    path.write_bytes(content)
    with pytest.raises(ProfileError, match=r"test\.json is not a profile"):
        AudioSourceProfile.load(path)


def test_refuses_a_cohort_that_was_changed(tmp_path: Path) -> None:
    np.savez(tmp_path / "cohort.npz", mean=np.zeros(192), wccn=np.eye(192))
    path = written(tmp_path, document(cohort={"file": "cohort.npz", "sha256": "0" * 64}))
    with pytest.raises(ProfileError, match=r"cohort\.npz is not the file"):
        AudioSourceProfile.load(path)


def test_pool_weighs_recordings_by_net_speech() -> None:
    pooled = pool([voice(unit(1), 30, Quality(30.0, 0.0)), voice(unit(0, 1), 10, Quality(12.0, 0.04)), voice(None, 0)])
    np.testing.assert_allclose(pooled.embedding, unit(3, 1), atol=1e-6)
    assert (pooled.net_speech_s, pooled.audio_s) == (40, 46)
    assert pooled.quality.snr_db == 12
    assert pooled.quality.clipped_share == pytest.approx(0.01)


def test_pool_of_silence_is_silence() -> None:
    pooled = pool([voice(None, 0), voice(None, 0)])
    assert (pooled.embedding, pooled.net_speech_s, pooled.audio_s) == (None, 0, 4)


def test_pool_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        pool([])
