from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from voice_verify.engine import AudioSourceProfile
from vvctl.profile import checks

from . import synthetic


def found(takes: list, base: AudioSourceProfile) -> list[str]:
    return checks.doubts(takes, base, base.limits)


def test_nothing_is_said_of_good_data(base: AudioSourceProfile) -> None:
    assert found(synthetic.speakers(8), base) == []


def test_one_voice_under_two_names_is_named(base: AudioSourceProfile) -> None:
    takes = [replace(take, speaker="alias") if take.session == "call2" and take.speaker == "s03" else take
             for take in synthetic.speakers(8)]  # fmt: skip
    (doubt,) = found(takes, base)
    assert doubt.startswith("Same voice under two names? s03 and alias")


def test_a_recording_of_another_voice_is_named(base: AudioSourceProfile) -> None:
    takes = synthetic.speakers(8)
    strange = synthetic.speakers(9)[-1]
    takes[4] = replace(strange, speaker=takes[4].speaker, session="swapped")
    doubts = found(takes, base)
    assert any(doubt.startswith("Another voice than the rest of its speaker? s01/swapped") for doubt in doubts)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"snr_db": 1.0}, "Low SNR: s00/call0 has 1 dB"),
        ({"clipped_share": 0.2}, "Clipped: s00/call0, 20.0%"),
        ({"embeddings": np.empty((0, 192), np.float32)}, "Hardly any speech: s00/call0"),
    ],
    ids=["noise", "clipping", "silence"],
)
def test_bad_audio_is_named(base: AudioSourceProfile, change: dict, named: str) -> None:
    first, *rest = synthetic.speakers(4)
    (doubt,) = found([replace(first, **change), *rest], base)
    assert doubt.startswith(named)
