"""Live streams over the WebSocket."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx
import numpy as np
import pytest
import soundfile
import soxr
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from .conftest import StartService
from .running import EVENT_S, Service, Stream, problem
from .speech import ANNA, BRUNO, ENROLMENT, RATE, TEST, samples

UUID = "6f0c2a1e-4f4e-4c53-9d0b-0c8b6f1f7a51"


def test_enrols_then_verifies_live(service: Service) -> None:
    with service.stream() as stream:
        begun = stream.post("enroll", "live")
        assert begun.status_code == 202, begun.text
        assert (begun.json()["state"], begun.json()["required_s"]) == ("collecting", 20)
        stream.send(samples(ANNA, ENROLMENT, 35))
        enrolled = stream.wait("enrolled")
        assert (enrolled["speaker"], enrolled["stream"]) == ("live", stream.uuid)
        assert stream.client.get(f"{stream.path}/enroll").json()["state"] == "enrolled"
        assert stream.end()["reason"] == "deleted"
    assert _outcome(service, "live", ANNA) == "verified"
    assert _outcome(service, "live", BRUNO) == "not_verified"


def test_the_decision_moves_with_the_speech(service: Service) -> None:
    with service.stream() as stream:
        first = stream.post("verify", ANNA)
        assert first.status_code == 200, first.text
        assert (first.json()["decision"], first.json()["reason"]) == ("not_sure", "not_enough_speech")
        stream.send(samples(ANNA, TEST, 8))
        stream.end()
        decisions = stream.of("decision")
    assert decisions[0]["net_speech_s"] == 0
    assert [item["net_speech_s"] for item in decisions] == sorted(item["net_speech_s"] for item in decisions)
    assert decisions[-1]["decision"] == "verified"
    assert len(decisions) >= 4


def test_answers_several_times_a_second(service: Service) -> None:
    with service.stream() as stream, ThreadPoolExecutor() as pool:
        speaking = pool.submit(stream.send, samples(ANNA, TEST, 10), speed=5)
        answers = []
        while not speaking.done():
            answers.append(stream.post("verify", ANNA))
            time.sleep(0.1)
        stream.end()
    assert all(answer.status_code == 200 for answer in answers)
    assert len(answers) >= 8
    heard = [answer.json()["net_speech_s"] for answer in answers]
    assert heard == sorted(heard)


@pytest.mark.parametrize(
    ("codec", "rate"), [("alaw", 8000), ("mulaw", 8000), ("pcm_s16le", 8000), ("pcm_s16le", 16000)]
)
def test_takes_the_telephone_codecs(service: Service, codec: str, rate: int) -> None:
    with service.stream(f"&codec={codec}&rate={rate}") as stream:
        stream.post("verify", ANNA)
        stream.send(_encoded(samples(ANNA, TEST, 8), codec, rate), seconds=0.1 * rate / RATE)
        described = stream.client.get(stream.path).json()
        assert (described["codec"], described["rate"], described["peer"]) == (codec, rate, "127.0.0.1")
        assert described["jobs"] == [{"kind": "verification", "speaker": ANNA}]
        end = stream.end()
        assert stream.of("decision")[-1]["decision"] == "verified"
    assert end["audio_s"] == pytest.approx(8, abs=0.2)


def test_two_calls_at_once_do_not_mix(service: Service) -> None:
    with service.stream() as first, service.stream() as second, ThreadPoolExecutor() as pool:
        for stream in (first, second):
            stream.post("verify", ANNA)
        listed = {item["uuid"] for item in first.client.get("/api/v2/streams").json()["streams"]}
        assert {first.uuid, second.uuid} <= listed
        list(pool.map(Stream.send, (first, second), (samples(ANNA, TEST, 8), samples(BRUNO, TEST, 8))))
        for stream in (first, second):
            stream.end()
        assert first.of("decision")[-1]["decision"] == "verified"
        assert second.of("decision")[-1]["decision"] == "not_verified"


def test_refuses_an_enrolment_when_the_call_ends_too_early(service: Service) -> None:
    with service.stream() as stream:
        stream.post("enroll", "early")
        problem(stream.post("enroll", "another"), 409, "enrolment_running")
        assert stream.post("enroll", "early").status_code == 202
        stream.send(samples(ANNA, ENROLMENT, 5))
        stream.end()
        error = stream.wait("error")
        assert (error["code"], error["reasons"]) == ("enrolment_refused", ["not_enough_speech"])
        assert stream.close_code() == 1000
    with service.client() as client:
        problem(client.get("/api/v2/speakers/early"), 404, "speaker_not_enrolled")


def test_enrols_from_speech_that_came_before(service: Service) -> None:
    with service.stream() as stream:
        stream.send(samples(ANNA, ENROLMENT, 30))
        _until_heard(stream, 20)
        assert stream.post("enroll", "before").json()["state"] == "enrolled"
        assert stream.wait("enrolled")["speaker"] == "before"


def test_a_speaker_deleted_during_the_call_is_no_longer_decided_about(service: Service) -> None:
    with service.stream() as stream:
        stream.send(samples(ANNA, ENROLMENT, 30))
        _until_heard(stream, 20)
        stream.post("enroll", "leaving")
        stream.post("verify", "leaving")
        stream.client.delete("/api/v2/speakers/leaving").raise_for_status()
        stream.send(samples(ANNA, TEST, 3))
        assert stream.wait("error")["code"] == "speaker_not_enrolled"
        problem(stream.post("verify", "leaving"), 404, "speaker_not_enrolled")


@pytest.mark.parametrize(
    ("garbage", "code", "close_code"),
    [
        ('{"event": "media"}', "unexpected_text", 1003),
        (b"\x00" * 161, "bad_frame", 1007),
        (b"\x00" * (64 * 1024 + 2), "frame_too_large", 1009),
    ],
    ids=["text", "half a sample", "oversized frame"],
)
def test_garbage_ends_the_stream_with_a_reason(
    service: Service, garbage: str | bytes, code: str, close_code: int
) -> None:
    with service.stream() as stream:
        stream.connection.send(garbage)
        assert stream.wait("error")["code"] == code
        assert stream.wait("end")["reason"] == "error"
        assert stream.close_code() == close_code
        problem(stream.client.get(stream.path), 404, "stream_not_found")
    assert _outcome(service, ANNA, ANNA) == "verified"


def test_a_frame_of_many_megabytes_is_cut_off(service: Service) -> None:
    before = service.peak_memory_mb
    with service.stream() as stream:
        with suppress(ConnectionClosed):
            stream.connection.send(bytes(50 * 2**20))
        _until(lambda: stream.client.get(stream.path).status_code == 404)
    assert service.peak_memory_mb - before < 20


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ("&codec=opus", "unsupported_codec"),
        ("&codec=alaw&rate=44100", "unsupported_rate"),
        ("&rate=fast", "unsupported_rate"),
    ],
)
def test_refuses_a_codec_that_it_does_not_decode(service: Service, parameters: str, code: str) -> None:
    with service.client() as client:
        created = client.post("/api/v2/streams").json()
        problem(_refused(f"{created['url']}{parameters}"), 422, code)
        # The ticket is still good.
        with connect(created["url"]):
            pass


def test_a_ticket_lets_one_client_in_once(service: Service) -> None:
    with service.stream() as stream:
        problem(_refused(stream.url), 401, "unauthenticated")
        base = stream.url.partition("?")[0]
        problem(_refused(base), 401, "unauthenticated")
        problem(_refused(f"{base}?ticket=guessed"), 401, "unauthenticated")
        key = {"Authorization": f"Bearer {service.keys['integrator']}"}
        problem(_refused(base, key), 409, "stream_in_use")
        problem(_refused(base, {"Authorization": f"Bearer {service.keys['viewer']}"}), 403, "forbidden")
        problem(_refused(base.replace(stream.uuid, UUID), key), 404, "stream_not_found")
        problem(_refused(base.replace(stream.uuid, "no-uuid"), key), 404, "stream_not_found")


def test_a_client_with_a_key_may_come_back_after_a_lost_connection(service: Service) -> None:
    with service.stream() as stream:
        stream.send(samples(ANNA, TEST, 4))
        stream.connection.close(code=3000)
        base = stream.url.partition("?")[0]
        _until(lambda: not stream.client.get(stream.path).json()["connected"])
        with connect(f"{base}/", subprotocols=["vv.v2", f"vv.key.{service.keys['integrator']}"]) as again:
            assert again.subprotocol == "vv.v2"
            again.send(samples(ANNA, TEST, 1).tobytes())
            assert stream.client.get(stream.path).json()["connected"]
        # Closed normally: that is the end of the call.
        _until(lambda: stream.client.get(stream.path).status_code == 404)


def test_an_idle_stream_ends_and_says_so(start_service: StartService) -> None:
    service = start_service(stream_idle_s=1)
    with service.stream() as stream:
        unconnected = stream.client.post("/api/v2/streams").json()["uuid"]
        stream.send(samples(ANNA, TEST, 1))
        assert stream.wait("end")["reason"] == "idle_timeout"
        assert stream.close_code() == 1000
        _until(lambda: stream.client.get(f"/api/v2/streams/{unconnected}").status_code == 404)


def test_refuses_more_streams_than_it_may_have(start_service: StartService) -> None:
    service = start_service(max_streams=2)
    with service.client() as client:
        first, _ = (client.post("/api/v2/streams").json() for _ in range(2))
        answer = client.post("/api/v2/streams")
        problem(answer, 503, "too_many_streams")
        assert int(answer.headers["retry-after"]) > 0
        client.delete(f"/api/v2/streams/{first['uuid']}").raise_for_status()
        assert client.post("/api/v2/streams").status_code == 201


def _outcome(service: Service, claimed: str, speaking: str) -> str:
    with service.stream() as stream:
        stream.post("verify", claimed)
        stream.send(samples(speaking, TEST, 8))
        stream.end()
        return str(stream.of("decision")[-1]["decision"])


def _until_heard(stream: Stream, seconds: float) -> None:
    _until(lambda: stream.client.get(stream.path).json()["net_speech_s"] >= seconds)


def _until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + EVENT_S
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _refused(url: str, headers: dict[str, str] | None = None) -> httpx.Response:
    """The answer to a handshake that is not let in."""
    with pytest.raises(InvalidStatus) as raised, connect(url, additional_headers=headers):
        pass
    response = raised.value.response
    return httpx.Response(response.status_code, headers=dict(response.headers), content=bytes(response.body))


def _encoded(audio: np.ndarray, codec: str, rate: int) -> np.ndarray:
    """The audio at `rate`, as `codec`, made without the service's own code."""
    if rate != RATE:
        return soxr.resample(audio, RATE, rate).astype(np.int16)
    if codec == "pcm_s16le":
        return audio
    subtype = {"alaw": "ALAW", "mulaw": "ULAW"}[codec]
    file = io.BytesIO()
    soundfile.write(file, audio, rate, format="RAW", subtype=subtype)
    return np.frombuffer(file.getvalue(), np.uint8)
