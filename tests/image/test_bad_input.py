"""The appliance refuses nonsense with a reason and goes on."""

from __future__ import annotations

import httpx
import pytest

from . import voices
from .guest import Guest


@pytest.mark.parametrize(
    "recording",
    [b"", b"RIFF\x24\x00\x00\x00WAVEfmt ", b"\x00\xff" * 5000, b"%PDF-1.7 not a recording"],
    ids=["empty", "torn WAV", "noise", "another kind of file"],
)
def test_unreadable_recording_is_refused_with_a_problem(first: Guest, recording: bytes) -> None:
    with first.api() as api:
        reply = api.post("/api/v2/enroll", data={"speaker": "nobody"}, files={"recording": recording})
    _assert_problem(reply)


def test_nobody_is_verified_under_a_name_that_is_not_enrolled(first: Guest) -> None:
    with first.api() as api:
        reply = api.post(
            "/api/v2/verify", data={"speaker": "nobody"}, files={"recording": voices.speech(voices.TARGET, 2)}
        )
    assert reply.status_code == 200, reply.text
    assert (reply.json()["decision"], reply.json()["reason"]) == ("not_sure", "speaker_not_enrolled")


def test_stays_ready(first: Guest) -> None:
    with first.api(key="") as api:
        assert api.get("/health/ready").status_code == 200
    assert first.root("systemctl show --property=NRestarts --value voice-verify") == "0"


def _assert_problem(reply: httpx.Response) -> None:
    assert 400 <= reply.status_code < 500, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    problem = reply.json()
    assert problem["code"]
    assert problem["detail"]
    assert "Traceback" not in reply.text
