"""Who may connect to a stream, what may be sent, and how it ends."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from .running import Service, problem, until
from .speech import ANNA, BRUNO, ENROLMENT, RATE, TEST, encoded, samples

# None of this depends on the kind of database.
pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
UUID = "6f0c2a1e-4f4e-4c53-9d0b-0c8b6f1f7a51"


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
        stream.send(encoded(samples(ANNA, TEST, 8), codec, rate), seconds=0.1 * rate / RATE)
        described = stream.client.get(stream.path).json()
        assert (described["codec"], described["rate"], described["peer"]) == (codec, rate, "127.0.0.1")
        assert described["jobs"] == [{"kind": "verification", "speaker": ANNA}]
        end = stream.end()
        assert stream.of("decision")[-1]["decision"] == "verified"
    assert end["audio_s"] == pytest.approx(8, abs=0.2)


def test_hears_the_speaker_on_one_of_two_channels(service: Service) -> None:
    both = np.stack([samples(BRUNO, TEST, 8), samples(ANNA, TEST, 8)], axis=1)
    with service.stream("&channel=1") as stream:
        stream.post("verify", ANNA)
        stream.send(both)
        end = stream.end()
        assert stream.of("decision")[-1]["decision"] == "verified"
    assert end["audio_s"] == 8


def test_takes_frames_in_fragments(service: Service) -> None:
    audio = samples(ANNA, TEST, 2).tobytes()
    with service.stream() as stream:
        for start in range(0, len(audio), 3200):
            frame = audio[start : start + 3200]
            # Cut inside a sample; every other frame in one piece.
            stream.connection.send([frame[:1001], frame[1001:]] if start % 6400 else frame)
        assert stream.end()["audio_s"] == 2


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
    assert service.decide_live(ANNA, samples(ANNA, TEST, 8)) == "verified"


def test_a_frame_of_many_megabytes_is_cut_off(service: Service) -> None:
    before = service.peak_memory_mb
    with service.stream() as stream:
        with suppress(ConnectionClosed):
            stream.connection.send(bytes(50 * 2**20))
        until(lambda: stream.client.get(stream.path).status_code == 404)
    assert service.peak_memory_mb - before < 20


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ("&codec=opus", "unsupported_codec"),
        ("&codec=alaw&rate=44100", "unsupported_rate"),
        ("&rate=fast", "unsupported_rate"),
        ("&channel=left", "unsupported_channel"),
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
        until(lambda: not stream.client.get(stream.path).json()["connected"])
        with connect(f"{base}/", subprotocols=["vv.v2", f"vv.key.{service.keys['integrator']}"]) as again:
            assert again.subprotocol == "vv.v2"
            again.send(samples(ANNA, TEST, 1).tobytes())
            assert stream.client.get(stream.path).json()["connected"]
        # Closed normally: that is the end of the call.
        until(lambda: stream.client.get(stream.path).status_code == 404)


def _refused(url: str, headers: dict[str, str] | None = None) -> httpx.Response:
    """The answer to a handshake that is not let in."""
    with pytest.raises(InvalidStatus) as raised, connect(url, additional_headers=headers):
        pass
    response = raised.value.response
    return httpx.Response(response.status_code, headers=dict(response.headers), content=bytes(response.body))
