"""What was acknowledged stays."""

from __future__ import annotations

import signal

from .running import Service
from .speech import ANNA, BRUNO, ENROLMENT, TEST, samples, wav


def test_voiceprints_survive_a_kill_and_a_restart(fresh: Service) -> None:
    for voice, how in ((ANNA, signal.SIGKILL), (BRUNO, signal.SIGTERM)):
        assert fresh.enrol(voice, wav(samples(voice, ENROLMENT, 30))).status_code == 200
        fresh.stop(how)
        fresh.start()
    assert fresh.verify(ANNA, wav(samples(ANNA, TEST, 8))).json()["decision"] == "verified"
    assert fresh.verify(ANNA, wav(samples(BRUNO, TEST, 8))).json()["decision"] == "not_verified"
    assert fresh.verify(BRUNO, wav(samples(BRUNO, TEST, 8))).json()["decision"] == "verified"


def test_an_enrolment_from_a_stream_survives_a_kill(fresh: Service) -> None:
    with fresh.stream() as stream:
        stream.post("enroll", ANNA)
        stream.send(samples(ANNA, ENROLMENT, 35))
        stream.wait("enrolled")
        fresh.stop(signal.SIGKILL)
    fresh.start()
    with fresh.client() as client:
        assert client.get(f"/api/v2/speakers/{ANNA}").status_code == 200
        assert client.get("/api/v2/streams").json() == {"streams": []}
