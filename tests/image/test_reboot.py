"""What was acknowledged survives the reset button."""

from __future__ import annotations

from typing import Any

from . import voices
from .guest import Guest, Measured


def test_voiceprints_are_there_after_a_reset(first: Guest, enrolled: list[dict[str, Any]], measured: Measured) -> None:
    before = first.identity()
    measured["reset_to_ready_s"] = round(first.reboot())
    assert first.identity() == before
    with first.api() as api:
        speakers = [speaker["speaker"] for speaker in api.get("/api/v2/speakers").json()["speakers"]]
    assert speakers == sorted([voices.TARGET, voices.IMPOSTOR])
    assert first.verify(voices.TARGET, voices.speech(voices.TARGET, 6))["decision"] == "verified"
