"""What was acknowledged survives the reset button."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import voices
from .guest import Guest, Measured


def test_voiceprints_are_there_after_a_reset(
    first: Guest, enrolled: list[dict[str, Any]], snapshot: list[Path], measured: Measured
) -> None:
    before = first.identity()
    measured["reset_to_ready_s"] = round(first.reboot())
    assert first.identity() == before
    assert first.speakers() == sorted([voices.TARGET, voices.IMPOSTOR, voices.LATER])
    assert first.verify(voices.TARGET, voices.speech(voices.TARGET, 6))["decision"] == "verified"
