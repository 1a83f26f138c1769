"""Two real speakers on the booted appliance."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest
from websockets.sync.client import connect

from vvctl.appliance import Appliance

from . import voices
from .guest import Guest, Measured

LIVE_SPEECH_S = 5
FRAME_S = 0.1


def test_enrols_two_speakers(enrolled: list[dict[str, Any]]) -> None:
    assert [answer["speaker"] for answer in enrolled] == [voices.TARGET, voices.IMPOSTOR]
    assert all(answer["net_speech_s"] >= 20 for answer in enrolled)


@pytest.fixture(scope="module")
def verdicts(first: Guest, enrolled: list[dict[str, Any]], measured: Measured) -> dict[str, dict[str, Any]]:
    """Answers to verifying both voices as the first speaker."""
    began = time.monotonic()
    found = first.at_once(
        [
            lambda: first.verify(voices.TARGET, voices.speech(voices.TARGET)),
            lambda: first.verify(voices.TARGET, voices.speech(voices.IMPOSTOR)),
        ]
    )
    verdicts = dict(zip(("target", "impostor"), found, strict=True))
    measured["verification_of_two_s"] = round(time.monotonic() - began)
    measured["verification"] = {
        who: {key: verdict[key] for key in ("decision", "score", "log_likelihood_ratio", "net_speech_s")}
        for who, verdict in verdicts.items()
    }
    print(measured["verification"], flush=True)
    return verdicts


def test_verifies_the_right_speaker(verdicts: dict[str, dict[str, Any]]) -> None:
    assert verdicts["target"]["decision"] == "verified"


def test_does_not_verify_the_other_speaker(verdicts: dict[str, dict[str, Any]]) -> None:
    assert verdicts["impostor"]["decision"] == "not_verified"


@pytest.mark.parametrize("key", ["", "vv_" + "x" * 43])
def test_refuses_callers_without_a_key(first: Guest, key: str) -> None:
    with first.api(key=key) as api:
        replies = [api.get("/api/v2/speakers"), api.post("/api/v2/verify", data={"speaker": voices.TARGET})]
    assert [reply.status_code for reply in replies] == [401, 401]
    assert {reply.headers["content-type"] for reply in replies} == {"application/problem+json"}


def test_operator_key_from_the_properties_is_known(first: Guest) -> None:
    with first.api(key=first.credentials.operator_key) as api:
        assert api.get("/api/v2/speakers").status_code == 200
        # Operators maintain; enrolling and verifying is for integrators.
        refused = api.post("/api/v2/streams")
    assert refused.status_code == 403, refused.text


def test_live_stream_through_port_80_gives_decisions(
    first: Guest, enrolled: list[dict[str, Any]], appliance: Appliance
) -> None:
    with first.api() as api:
        stream = api.post("/api/v2/streams").json()
        path = stream["url"].partition("/stream/")[2]
        url = f"ws://{first.address}:{appliance.port('http').first}/stream/{path}&codec=pcm_s16le&rate={voices.RATE}"
        with connect(url, open_timeout=first.slow(10), close_timeout=5, ping_timeout=None) as socket:
            asked = api.post(f"/api/v2/streams/{stream['uuid']}/verify", json={"speaker": voices.TARGET})
            assert asked.status_code == 200, asked.text
            speaking = threading.Thread(target=_speak, args=(socket, voices.samples(voices.TARGET, LIVE_SPEECH_S)))
            speaking.start()
            decisions = _decisions_until_verified(socket, deadline=time.monotonic() + first.slow(20))
            speaking.join()
        listed = api.get("/api/v2/streams")
    assert decisions[-1]["decision"] == "verified", decisions
    assert listed.status_code == 200


def _speak(socket: Any, samples: bytes) -> None:
    size = int(voices.RATE * FRAME_S) * 2
    for start in range(0, len(samples), size):
        socket.send(samples[start : start + size])
        time.sleep(FRAME_S)


def _decisions_until_verified(socket: Any, *, deadline: float) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while time.monotonic() < deadline and (not found or found[-1]["decision"] != "verified"):
        event = json.loads(socket.recv(timeout=deadline - time.monotonic()))
        assert event["event"] not in {"error", "end"}, event
        if event["event"] == "decision":
            found.append(event)
    return found
