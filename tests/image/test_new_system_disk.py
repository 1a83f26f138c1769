"""A freshly built system disk takes over the data disk: what an upgrade does."""

from __future__ import annotations

import json

from . import voices
from .guest import Guest, Measured


def test_new_system_with_the_same_data_still_verifies(renewed: Guest, measured: Measured) -> None:
    measured["new_system_ready_s"] = round(renewed.wait_ready())
    speech = voices.speech(voices.TARGET, 6)
    right, wrong = renewed.at_once(
        [lambda: renewed.verify(voices.TARGET, speech), lambda: renewed.verify(voices.IMPOSTOR, speech)]
    )
    assert right["decision"] == "verified"
    assert wrong["decision"] != "verified"


def test_new_system_has_another_identity(first: Guest, renewed: Guest) -> None:
    renewed.wait_ready()
    ours = json.loads((first.logs / "identity.json").read_text(encoding="utf-8"))
    theirs = renewed.identity()
    assert {key for key in ours if ours[key] == theirs[key]} == set()
