"""The engine under real speech: the way that audio is cut must not matter, and nothing may break it."""

from __future__ import annotations

import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import numpy as np
import onnxruntime
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from voice_verify.engine import (
    SAMPLE_RATE,
    Engine,
    NotRunning,
    Overloaded,
    StreamExists,
    StreamFailed,
    UnknownStream,
    Voice,
    packaged_profile,
)
from voice_verify.engine.limits import MAX_WAITING_S

SPEAKER = "it_IT_m_Carlo"


def blocks(samples: NDArray[np.float32], size: int) -> Iterator[NDArray[np.float32]]:
    return (samples[start : start + size] for start in range(0, len(samples), size))


def push_as_fast_as_taken(engine: Engine, stream: UUID, block: NDArray[np.float32]) -> None:
    while True:
        try:
            return engine.push(stream, block)
        except Overloaded:
            time.sleep(0.1)


def assert_same(one: Voice, other: Voice) -> None:
    assert one.net_speech_s == other.net_speech_s
    assert one.audio_s == other.audio_s
    assert one.embedding is not None
    assert other.embedding is not None
    np.testing.assert_allclose(one.embedding, other.embedding, atol=1e-5)
    assert one.quality.snr_db == pytest.approx(other.quality.snr_db)
    assert one.quality.clipped_share == pytest.approx(other.quality.clipped_share)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.integers(0, 9000), min_size=1, max_size=12), size=st.sampled_from([31, 160, 800, 4001]))
def test_any_cut_into_blocks_gives_the_same_voice(engine: Engine, speech, sizes: list[int], size: int) -> None:
    samples = speech(SPEAKER, 3, 6)
    whole = engine.analyse(samples)
    stream = uuid4()
    engine.open_stream(stream)
    cut = np.cumsum(sizes)
    for block in np.split(samples, cut[cut < len(samples)]):
        for part in blocks(block, size):
            engine.push(stream, part)
    assert_same(engine.close_stream(stream), whole)


def test_streams_side_by_side_do_not_mix(engine: Engine, speech) -> None:
    recordings = {uuid4(): speech(SPEAKER, 7 * index, 5 + index / 3) for index in range(12)}
    for stream in recordings:
        engine.open_stream(stream)
    for index in range(0, 10 * SAMPLE_RATE, 800):
        for stream, samples in recordings.items():
            engine.push(stream, samples[index : index + 800])
    for stream, samples in recordings.items():
        assert_same(engine.close_stream(stream), engine.analyse(samples))


def test_a_stream_is_updated_after_each_second_of_speech(engine: Engine, speech) -> None:
    updates: list[Voice] = []
    heard = threading.Event()
    stream = uuid4()

    def listen(identity: UUID, voice: Voice) -> None:
        assert identity == stream
        updates.append(voice)
        heard.set()

    engine.open_stream(stream, listen)
    assert engine.voice(stream).embedding is None
    engine.push(stream, speech(SPEAKER, 0, 2.5))
    assert heard.wait(20)
    assert engine.voice(stream).net_speech_s >= 1
    last = engine.close_stream(stream)
    assert updates[-1].net_speech_s == last.net_speech_s


def test_a_failing_listener_harms_nobody(engine: Engine, speech) -> None:
    def fail(_stream: UUID, _voice: Voice) -> None:
        raise RuntimeError("a listener's fault")

    good, bad = uuid4(), uuid4()
    engine.open_stream(good)
    engine.open_stream(bad, fail)
    samples = speech(SPEAKER, 20, 4)
    for block in blocks(samples, 1600):
        engine.push(bad, block)
        engine.push(good, block)
    assert_same(engine.close_stream(bad), engine.analyse(samples))
    assert_same(engine.close_stream(good), engine.analyse(samples))


def test_a_listener_that_would_wait_for_itself_is_told(engine: Engine, speech) -> None:
    told: list[str] = []
    stream = uuid4()

    def close(identity: UUID, _voice: Voice) -> None:
        try:
            engine.close_stream(identity)
        except RuntimeError as error:
            told.append(str(error))

    engine.open_stream(stream, close)
    engine.push(stream, speech(SPEAKER, 20, 2))
    assert engine.close_stream(stream).net_speech_s >= 1
    assert "would wait for itself" in told[0]


class OutOfMemoryOnce:
    """An onnxruntime session that fails the first time."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self.session = session
        self.failed = False

    def run(self, *arguments: object) -> object:
        if not self.failed:
            self.failed = True
            raise MemoryError
        return self.session.run(*arguments)


@pytest.mark.parametrize("network", ["_vad", "_embedding"])
def test_a_failure_of_onnxruntime_ends_the_stream_but_not_the_engine(model_dir: Path, speech, network: str) -> None:
    engine = Engine(model_dir)
    holder = getattr(engine._pipeline, network)
    holder._session = OutOfMemoryOnce(holder._session)
    engine.start()
    samples = speech(SPEAKER, 50, 3)
    bad, good = uuid4(), uuid4()
    engine.open_stream(bad)
    engine.push(bad, samples)
    with pytest.raises(StreamFailed):
        engine.close_stream(bad)
    with pytest.raises(UnknownStream):
        engine.voice(bad)
    engine.open_stream(good)
    engine.push(good, samples)
    assert_same(engine.close_stream(good), engine.analyse(samples))
    engine.stop()


@pytest.mark.parametrize(
    "bad", [np.zeros((2, 80), np.float32), np.array([0.1, np.nan], np.float32)], ids=["two channels", "not a number"]
)
def test_refuses_samples_that_are_none(engine: Engine, bad: NDArray[np.float32]) -> None:
    stream = uuid4()
    engine.open_stream(stream)
    with pytest.raises(ValueError, match="samples must be"):
        engine.push(stream, bad)
    with pytest.raises(ValueError, match="samples must be"):
        engine.analyse(bad)
    assert engine.close_stream(stream).audio_s == 0


def test_values_beyond_full_scale_are_clipped(engine: Engine) -> None:
    voice = engine.analyse(np.full(SAMPLE_RATE, np.inf, np.float32))
    assert voice.audio_s == 1
    assert voice.embedding is None


def test_keeps_no_view_of_the_callers_buffer(engine: Engine, speech) -> None:
    samples = speech(SPEAKER, 30, 4)
    stream = uuid4()
    engine.open_stream(stream)
    buffer = np.empty(800, np.float32)
    for block in blocks(samples, 800):
        buffer[:] = block
        engine.push(stream, buffer)
        buffer[:] = 1.0
    assert_same(engine.close_stream(stream), engine.analyse(samples))


def test_says_when_audio_comes_faster_than_it_is_processed(engine: Engine) -> None:
    stream = uuid4()
    engine.open_stream(stream)
    with pytest.raises(Overloaded, match=f"more than {MAX_WAITING_S} s"):
        engine.push(stream, np.zeros((MAX_WAITING_S + 1) * SAMPLE_RATE, np.float32))
    engine.push(stream, np.zeros(SAMPLE_RATE, np.float32))
    assert engine.close_stream(stream).audio_s == 1


def test_streams_are_known_from_open_to_close(engine: Engine) -> None:
    stream = uuid4()
    with pytest.raises(UnknownStream):
        engine.push(stream, np.zeros(80, np.float32))
    engine.open_stream(stream)
    with pytest.raises(StreamExists):
        engine.open_stream(stream)
    engine.close_stream(stream)
    with pytest.raises(UnknownStream):
        engine.voice(stream)
    with pytest.raises(UnknownStream):
        engine.close_stream(stream)


def test_stop_processes_what_was_pushed(model_dir: Path, speech) -> None:
    engine = Engine(model_dir)
    with pytest.raises(NotRunning):
        engine.open_stream(uuid4())
    engine.start()
    stream = uuid4()
    engine.open_stream(stream)
    samples = speech(SPEAKER, 40, 5)
    engine.push(stream, samples)
    engine.stop()
    with pytest.raises(NotRunning):
        engine.push(stream, samples)
    assert_same(engine.close_stream(stream), engine.analyse(samples))


def test_an_idle_engine_uses_no_processor_time(model_dir: Path) -> None:
    engine = Engine(model_dir)
    engine.start()
    before = time.process_time()
    time.sleep(1)
    used = time.process_time() - before
    engine.stop()
    assert used < 0.1


def test_silence_is_not_enough_speech(engine: Engine) -> None:
    voice = engine.analyse(np.zeros(5 * SAMPLE_RATE, np.float32))
    assert (voice.embedding, voice.net_speech_s, voice.quality.snr_db) == (None, 0, None)
    decision = packaged_profile("mixed").decide(np.ones(192, np.float32), voice)
    assert (decision.decision, decision.reason, decision.score) == ("not_sure", "not_enough_speech", None)


@pytest.mark.parametrize("level", [0.0, 1e-3, 0.1], ids=["digital silence", "quiet noise", "loud noise"])
def test_a_long_stream_without_speech_keeps_its_size(engine: Engine, level: float) -> None:
    noise = (level * np.random.default_rng(1).standard_normal(10 * SAMPLE_RATE)).astype(np.float32)
    stream = uuid4()
    engine.open_stream(stream)

    def minutes(count: int) -> None:
        heard_s = engine.voice(stream).audio_s + 60 * count
        for _ in range(6 * count):
            push_as_fast_as_taken(engine, stream, noise)
        while engine.voice(stream).audio_s < heard_s:
            time.sleep(0.05)

    tracemalloc.start()
    try:
        minutes(1)
        before = tracemalloc.get_traced_memory()[0]
        minutes(2)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert engine.close_stream(stream).net_speech_s < 3
    assert grown < 300_000
