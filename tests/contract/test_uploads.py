"""What may be uploaded, and what is refused."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterator

import numpy as np
import pytest
import soxr

from .running import Service, problem
from .speech import ANNA, ENROLMENT, RATE, TEST, samples, wav

# None of this depends on the kind of database.
pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
SILENCE = np.zeros(30 * RATE, np.int16)


@pytest.mark.parametrize(
    ("kind", "subtype", "rate", "channels"),
    [
        ("WAV", "ALAW", 8000, 1),
        ("WAV", "ULAW", 8000, 1),
        ("WAV", "PCM_16", 48000, 2),
        ("FLAC", "PCM_16", 16000, 1),
        ("OGG", "OPUS", 48000, 1),
    ],
)
def test_takes_the_usual_formats(service: Service, kind: str, subtype: str, rate: int, channels: int) -> None:
    audio = soxr.resample(samples(ANNA, TEST, 8), RATE, rate)
    recording = wav(np.stack([audio] * channels, axis=1), rate=rate, kind=kind, subtype=subtype)
    assert service.verify(ANNA, recording).json()["decision"] == "verified"


@pytest.mark.parametrize(
    ("recording", "code"),
    [
        (b"", "audio_empty"),
        (b"this is no recording" * 100, "audio_unreadable"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "audio_unreadable"),
        (wav(np.empty(0, np.int16)), "audio_empty"),
    ],
    ids=["empty file", "text", "torn header", "no samples"],
)
def test_refuses_what_is_no_recording(service: Service, recording: bytes, code: str) -> None:
    for answer in (service.enrol("nobody", recording), service.verify(ANNA, recording)):
        assert problem(answer, 422, code)["errors"][0]["field"] == "body.recording.0"


def test_says_which_of_several_recordings_is_bad(service: Service) -> None:
    answer = service.enrol("nobody", wav(samples(ANNA, ENROLMENT, 5)), b"no recording")
    assert problem(answer, 422, "audio_unreadable")["errors"][0]["field"] == "body.recording.1"


@pytest.mark.parametrize(
    "audio", [SILENCE, samples(ANNA, ENROLMENT, 1), samples(ANNA, ENROLMENT, 15)], ids=["silence", "1 s", "15 s"]
)
def test_refuses_to_enrol_too_little_speech(service: Service, audio: np.ndarray) -> None:
    document = problem(service.enrol("nobody", wav(audio)), 422, "enrolment_refused")
    assert document["reasons"] == ["not_enough_speech"]
    assert "20 s" in document["detail"]
    assert service.verify("nobody", wav(audio)).json()["reason"] == "speaker_not_enrolled"


def test_refuses_to_enrol_clipped_speech(service: Service) -> None:
    loud = np.clip(samples(ANNA, ENROLMENT, 30).astype(np.int32) * 60, -32768, 32767).astype(np.int16)
    assert problem(service.enrol("nobody", wav(loud)), 422, "enrolment_refused")["reasons"] == ["clipped"]


def test_refuses_to_enrol_noise_over_speech(service: Service) -> None:
    speech = samples(ANNA, ENROLMENT, 30).astype(np.float64)
    noise = np.random.default_rng(1).normal(0, 1.2 * speech.std(), len(speech))
    noisy = np.clip((speech + noise) / 3, -32768, 32767).astype(np.int16)
    assert problem(service.enrol("nobody", wav(noisy)), 422, "enrolment_refused")["reasons"] in (
        ["low_snr"],
        ["not_enough_speech"],
    )


def test_silence_is_not_sure_for_lack_of_speech(service: Service) -> None:
    result = service.verify(ANNA, wav(SILENCE)).json()
    assert (result["decision"], result["reason"], result["score"]) == ("not_sure", "not_enough_speech", None)


def test_refuses_more_recordings_than_the_limit(service: Service) -> None:
    problem(service.enrol("nobody", *[wav(SILENCE[:RATE])] * 11), 422, "too_many_recordings")


def test_refuses_a_recording_that_is_too_long(service: Service) -> None:
    # 31 minutes of silence take 100 kB as FLAC.
    long = wav(np.zeros(31 * 60 * RATE, np.int16), kind="FLAC")
    problem(service.enrol("nobody", long), 422, "audio_too_long")


@pytest.mark.parametrize("speaker", ["", "a/b", "..", "two words", "é", "x" * 129])
def test_refuses_an_identifier_that_does_not_fit(service: Service, speaker: str) -> None:
    document = problem(service.enrol(speaker, wav(SILENCE[:RATE])), 422, "invalid_request")
    assert document["errors"][0]["field"] == "body.speaker"


def test_names_every_missing_field(service: Service) -> None:
    with service.client() as client:
        document = problem(client.post("/api/v2/enroll"), 422, "invalid_request")
    assert {item["field"] for item in document["errors"]} == {"body.speaker", "body.recording"}


def test_refuses_a_declared_gigabyte_before_it_is_sent(service: Service) -> None:
    head = (
        "POST /api/v2/enroll HTTP/1.1\r\nHost: voiceverify\r\n"
        f"Authorization: Bearer {service.keys['integrator']}\r\n"
        f"Content-Type: multipart/form-data; boundary=frontier\r\nContent-Length: {10**9}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
        connection.sendall(head.encode())
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert (answer.status, json.load(answer)["code"]) == (413, "upload_too_large")


def test_a_streamed_gigabyte_fills_neither_memory_nor_disk(service: Service) -> None:
    before = service.peak_memory_mb
    started = time.monotonic()
    with service.client() as client:
        answer = client.post(
            "/api/v2/enroll",
            content=_gigabyte(),
            headers={"Content-Type": "multipart/form-data; boundary=frontier"},
        )
    problem(answer, 413, "upload_too_large")
    assert service.peak_memory_mb - before < 100
    assert time.monotonic() - started < 30
    assert service.verify(ANNA, wav(samples(ANNA, TEST, 5))).status_code == 200


def test_refuses_a_huge_document(service: Service) -> None:
    with service.client() as client:
        problem(client.post("/api/v2/verify", json={"speaker": "x" * 100_000}), 413, "upload_too_large")


def _gigabyte() -> Iterator[bytes]:
    yield b'--frontier\r\nContent-Disposition: form-data; name="recording"; filename="a.wav"\r\n\r\n'
    for _ in range(1000):
        yield bytes(10**6)
