"""The engine in its own process answers as the engine in this one; nothing waits for a process that is gone."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from numpy.typing import NDArray

from voice_verify.engine import (
    SAMPLE_RATE,
    Encoding,
    Engine,
    EngineClient,
    ModelError,
    NotRunning,
    Overloaded,
    StreamExists,
    UnknownStream,
    Voice,
)
from voice_verify.engine.limits import MAX_WAITING_S

SPEAKER = "it_IT_m_Carlo"


@pytest.fixture(scope="module")
def client(model_dir: Path) -> Iterator[EngineClient]:
    client = EngineClient(model_dir, threads=2)
    client.start()
    assert client.problem is None
    yield client
    client.stop()
    assert not client.alive


def pcm16(samples: NDArray[np.float32]) -> bytes:
    return np.round(samples * 32767).astype("<i2").tobytes()


def assert_alike(one: Voice, other: Voice) -> None:
    assert (one.net_speech_s, one.audio_s) == (other.net_speech_s, other.audio_s)
    assert one.quality.snr_db == pytest.approx(other.quality.snr_db, abs=0.1)
    # Batches of other sizes are rounded otherwise, and int8 makes more of it.
    assert np.dot(one.embedding, other.embedding) > 0.999


def test_streams_give_the_voice_that_the_engine_gives(client: EngineClient, engine: Engine, speech) -> None:
    recordings = {uuid4(): pcm16(speech(SPEAKER, 7 * index, 5)) for index in range(6)}
    for stream in recordings:
        client.open_stream(stream)
    for start in range(0, 5 * SAMPLE_RATE * 2, 1600):
        for stream, audio in recordings.items():
            client.push(stream, Encoding.pcm16, audio[start : start + 1600])
    for stream, audio in recordings.items():
        heard = np.frombuffer(audio, "<i2").astype(np.float32) / 32768
        assert_alike(client.close_stream(stream), engine.analyse(heard))


def test_recordings_give_the_voice_that_the_engine_gives(client: EngineClient, engine: Engine, speech) -> None:
    # Longer than one message of the protocol.
    samples = speech(SPEAKER, 0, 60)
    assert_alike(client.analyse(samples), engine.analyse(samples))
    assert client.analyse(np.empty(0, np.float32)).audio_s == 0


def test_tells_of_each_second_of_speech_and_of_silence_in_between(client: EngineClient, speech) -> None:
    updates: list[Voice] = []
    stream = uuid4()
    client.open_stream(stream, lambda _stream, voice: updates.append(voice))
    client.push(stream, Encoding.pcm16, pcm16(speech(SPEAKER, 0, 4)))
    client.push(stream, Encoding.pcm16, bytes(2 * 2 * SAMPLE_RATE))
    deadline = time.monotonic() + 20
    while client.voice(stream).audio_s < 6:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    # A progress report has no embedding of its own and does not forget the one that came before.
    assert client.voice(stream).embedding is not None
    last = client.close_stream(stream)
    assert updates[-1].net_speech_s == last.net_speech_s >= 2


def test_says_when_audio_comes_faster_than_it_is_processed(client: EngineClient) -> None:
    stream = uuid4()
    client.open_stream(stream)
    with pytest.raises(Overloaded, match=f"more than {MAX_WAITING_S} s"):
        client.push(stream, Encoding.alaw, bytes((MAX_WAITING_S + 1) * SAMPLE_RATE))
    client.push(stream, Encoding.alaw, bytes(SAMPLE_RATE))
    assert client.close_stream(stream).audio_s == 1


def test_streams_are_known_from_open_to_close(client: EngineClient) -> None:
    stream = uuid4()
    with pytest.raises(UnknownStream):
        client.push(stream, Encoding.alaw, bytes(80))
    client.open_stream(stream)
    with pytest.raises(StreamExists):
        client.open_stream(stream)
    client.close_stream(stream)
    with pytest.raises(UnknownStream):
        client.voice(stream)
    with pytest.raises(UnknownStream):
        client.close_stream(stream)


def test_a_listener_that_would_wait_for_itself_is_told(client: EngineClient, speech) -> None:
    told: list[str] = []
    called = threading.Event()
    stream = uuid4()

    def close(_stream: object, _voice: object) -> None:
        try:
            client.close_stream(stream)
        except RuntimeError as error:
            told.append(str(error))
        called.set()

    client.open_stream(stream, close)
    client.push(stream, Encoding.pcm16, pcm16(speech(SPEAKER, 20, 3)))
    assert called.wait(20)
    client.close_stream(stream)
    assert "would wait for itself" in told[0]


def test_without_a_process_nothing_waits(model_dir: Path) -> None:
    client = EngineClient(model_dir)
    with pytest.raises(NotRunning):
        client.open_stream(uuid4())
    with pytest.raises(NotRunning):
        client.analyse(np.zeros(8000, np.float32))
    client.stop()


def test_a_process_that_cannot_start_is_reported(model_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = EngineClient(model_dir)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    client.start()
    assert not client.alive
    assert "3 times" in str(client.problem)
    assert client.restarts == 3
    client.stop()


def test_a_model_that_is_not_there_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        EngineClient(tmp_path)
