"""Who is embedded when: fairly among streams, in the order of each stream's speech, and never silently late."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import cast
from uuid import uuid4

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_verify.audio import decode_alaw, decode_mulaw
from voice_verify.engine import SAMPLE_RATE, Encoding, Engine
from voice_verify.engine.chunks import ChunkQueue, Queued
from voice_verify.engine.encoding import decode_all
from voice_verify.engine.pipeline import Chunk

SPEAKER = "it_IT_m_Carlo"


def queue_of(owners: str) -> ChunkQueue[str]:
    """A chunk of each letter's stream, arriving in that order."""
    queue: ChunkQueue[str] = ChunkQueue()
    for arrived, owner in enumerate(owners):
        queue.put(Queued(owner, cast(Chunk, None), float(arrived)))
    return queue


def taken(queue: ChunkQueue[str], limit: int) -> tuple[str, list[Queued[str]]]:
    batch = queue.take(limit)
    return "".join(queued.owner for queued in batch), batch


def test_a_stream_with_a_backlog_does_not_hold_up_the_others() -> None:
    queue = queue_of("aaaaaaaabc")
    first, batch = taken(queue, 3)
    assert first == "abc"
    queue.done(batch)
    assert taken(queue, 3)[0] == "aaa"


def test_a_lone_stream_may_fill_a_batch() -> None:
    assert taken(queue_of("aaaa"), 8)[0] == "aaaa"


def test_a_stream_is_served_by_one_thread_at_a_time() -> None:
    queue = queue_of("aaab")
    first, batch = taken(queue, 1)
    assert first == "a"
    assert taken(queue, 2)[0] == "b"
    assert not queue.is_ready
    queue.done(batch)
    assert taken(queue, 2)[0] == "aa"


def test_knows_its_oldest_chunk_while_it_is_being_embedded() -> None:
    queue = queue_of("ab")
    _, batch = taken(queue, 1)
    assert queue.oldest == 0
    queue.done(batch)
    assert queue.oldest == 1
    queue.drop("b")
    assert (queue.oldest, len(queue), queue.is_ready) == (None, 0, False)


@given(owners=st.text("abcdef", max_size=40), limit=st.integers(1, 8))
def test_each_chunk_is_served_once_in_the_order_of_its_stream(owners: str, limit: int) -> None:
    queue = queue_of(owners)
    served: list[Queued[str]] = []
    while batch := queue.take(limit):
        assert len(batch) <= limit
        served += batch
        queue.done(batch)
    assert sorted(queued.arrived for queued in served) == list(range(len(owners)))
    for owner in set(owners):
        mine = [queued.arrived for queued in served if queued.owner == owner]
        assert mine == sorted(mine)


def test_each_encoding_is_decoded_as_if_alone() -> None:
    codes = np.arange(256, dtype=np.uint8)
    pcm = np.array([-32768, 0, 16384], "<i2")
    blocks = [(Encoding.alaw, codes), (Encoding.pcm16, pcm), (Encoding.mulaw, codes), (Encoding.alaw, codes[:3])]
    alaw, linear, mulaw, short = decode_all(blocks)
    np.testing.assert_array_equal(alaw, decode_alaw(codes.tobytes()))
    np.testing.assert_array_equal(mulaw, decode_mulaw(codes.tobytes()))
    np.testing.assert_array_equal(linear, np.array([-1, 0, 0.5], np.float32))
    np.testing.assert_array_equal(short, alaw[:3])
    assert all(samples.dtype == np.float32 for samples in (alaw, linear, mulaw, short))


def test_several_threads_give_the_same_voices(model_dir: Path, speech) -> None:
    engine = Engine(model_dir, threads=3)
    engine.start()
    recordings = {uuid4(): speech(SPEAKER, 5 * index, 6) for index in range(10)}
    for stream, samples in recordings.items():
        engine.open_stream(stream)
        engine.push(stream, samples)
    for stream, samples in recordings.items():
        voice, expected = engine.close_stream(stream), engine.analyse(samples)
        assert (voice.net_speech_s, voice.audio_s) == (expected.net_speech_s, expected.audio_s)
        # Batches of other sizes are rounded otherwise, and int8 makes more of it.
        assert np.dot(voice.embedding, expected.embedding) > 0.999
    engine.stop()


def test_the_lag_is_the_age_of_what_waits(model_dir: Path, speech) -> None:
    engine = Engine(model_dir)
    engine.start()
    assert engine.lag_s == 0
    blocked, go_on = threading.Event(), threading.Event()

    def wait(_stream: object, _voice: object) -> None:
        blocked.set()
        go_on.wait(20)

    slow, behind = uuid4(), uuid4()
    engine.open_stream(slow, wait)
    engine.open_stream(behind)
    engine.push(slow, speech(SPEAKER, 0, 2.5))
    assert blocked.wait(20)
    # The one thread that embeds is busy, so this waits for it.
    engine.push(behind, speech(SPEAKER, 10, 2.5))
    time.sleep(0.5)
    assert 0.4 < engine.lag_s < 10
    go_on.set()
    engine.close_stream(behind)
    assert engine.close_stream(slow).audio_s == 2.5
    assert engine.lag_s < 0.3
    engine.stop()


@pytest.mark.parametrize("encoding", [Encoding.pcm16, Encoding.alaw])
def test_encoded_audio_gives_the_voice_of_its_samples(engine: Engine, speech, encoding: Encoding) -> None:
    samples = speech(SPEAKER, 20, 4)
    if encoding is Encoding.alaw:
        codes = np.abs(decode_alaw(bytes(range(256)))[None] - samples[:, None]).argmin(axis=1).astype(np.uint8)
        heard = decode_alaw(codes.tobytes())
    else:
        codes = np.round(samples * 32767).astype("<i2")
        heard = (codes / np.float32(32768)).astype(np.float32)
    stream = uuid4()
    engine.open_stream(stream)
    for start in range(0, len(codes), 800):
        engine.push_encoded(stream, encoding, codes[start : start + 800], time.monotonic())
    voice, expected = engine.close_stream(stream), engine.analyse(heard)
    assert voice.net_speech_s == expected.net_speech_s
    assert np.dot(voice.embedding, expected.embedding) > 0.999
    assert voice.audio_s == len(samples) / SAMPLE_RATE
