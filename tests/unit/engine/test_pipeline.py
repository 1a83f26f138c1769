"""Many streams in one array: none may notice the others."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from voice_verify.engine.model import read_model_info
from voice_verify.engine.pipeline import Pipeline
from voice_verify.engine.stream import StreamState

SPEAKERS = ["it_IT_m_Carlo", "fr_CA_f_June", "ru_RU_f_IvrvoiceRU"]


@pytest.fixture(scope="module")
def pipeline(model_dir: Path) -> Pipeline:
    return Pipeline(model_dir, read_model_info(model_dir), 1)


def alone(pipeline: Pipeline, samples: NDArray[np.float32]) -> tuple[StreamState, list[NDArray[np.float32]]]:
    stream = pipeline.new_stream()
    return stream, [chunk.features for chunk in pipeline.advance([(stream, [samples])])]


def test_streams_of_any_pace_give_what_they_give_alone(pipeline: Pipeline, speech) -> None:
    recordings = [speech(speaker, 9 * index, 4 + index / 7) for index in range(4) for speaker in SPEAKERS]
    random = np.random.default_rng(3)
    streams = [pipeline.new_stream() for _ in recordings]
    found: dict[int, list[NDArray[np.float32]]] = defaultdict(list)
    places = [0] * len(recordings)
    while any(place < len(samples) for place, samples in zip(places, recordings, strict=True)):
        taken = []
        for number in random.permutation(len(recordings))[: random.integers(0, len(recordings) + 1)]:
            sizes = random.integers(0, 1500, random.integers(1, 4))
            cuts = np.minimum(places[number] + np.cumsum([0, *sizes]), len(recordings[number]))
            blocks = [recordings[number][start:end] for start, end in pairwise(cuts)]
            taken.append((streams[number], blocks))
            places[number] = int(cuts[-1])
        for chunk in pipeline.advance(taken):
            found[streams.index(chunk.stream)].append(chunk.features)
    for number, samples in enumerate(recordings):
        stream, chunks = alone(pipeline, samples)
        np.testing.assert_allclose(np.array(found[number]), np.array(chunks), atol=1e-4)
        assert len(chunks) >= 2
        mine, other = streams[number].voice(), stream.voice()
        assert mine.audio_s == other.audio_s
        assert mine.quality.snr_db == pytest.approx(other.quality.snr_db)
        assert mine.quality.clipped_share == pytest.approx(other.quality.clipped_share)


def test_nothing_and_too_little_give_nothing(pipeline: Pipeline) -> None:
    assert pipeline.advance([]) == []
    stream = pipeline.new_stream()
    for length in (0, 1, 199, 55):
        assert pipeline.advance([(stream, [np.zeros(length, np.float32)])]) == []
    assert stream.voice().audio_s == 255 / 8000


def test_counts_processor_time_by_part(model_dir: Path, speech) -> None:
    pipeline = Pipeline(model_dir, read_model_info(model_dir), 1)
    assert pipeline.cpu_s == {"vad": 0, "features": 0, "embedding": 0}
    pipeline.embed(pipeline.advance([(pipeline.new_stream(), [speech(SPEAKERS[0], 0, 3)])]))
    assert all(0 < used < 5 for used in pipeline.cpu_s.values())
