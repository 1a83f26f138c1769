from __future__ import annotations

import io
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from voice_verify.audio import AudioError, decode

RATE = 8000


def tone(hertz: float = 440, seconds: float = 2, rate: int = RATE) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def encoded(samples: np.ndarray, rate: int = RATE, file_format: str = "WAV", subtype: str | None = None) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=file_format, subtype=subtype)
    return buffer.getvalue()


def wav(rate: int, channels: int, data: bytes, bits: int = 16) -> bytes:
    block = channels * bits // 8
    header = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate, rate * block % 2**32, block, bits)
    body = header + struct.pack("<4sI", b"data", len(data)) + data
    return struct.pack("<4sI4s", b"RIFF", 4 + len(body), b"WAVE") + body


def code_of(data: bytes, max_minutes: float = 1) -> str:
    with pytest.raises(AudioError) as caught:
        decode(data, max_minutes=max_minutes)
    assert caught.value.message
    assert caught.value.hint
    return caught.value.code


@pytest.mark.parametrize(
    ("file_format", "subtype", "tolerance"),
    [
        ("WAV", "PCM_16", 1e-4),
        ("WAV", "PCM_24", 1e-6),
        ("WAV", "FLOAT", 1e-7),
        ("WAV", "PCM_U8", 1e-2),
        ("WAV", "ALAW", 2e-2),
        ("WAV", "ULAW", 2e-2),
        ("FLAC", "PCM_16", 1e-4),
    ],
)
def test_reads_what_the_api_promises(file_format: str, subtype: str, tolerance: float) -> None:
    samples = decode(encoded(tone(), RATE, file_format, subtype), max_minutes=1)
    assert samples.dtype == np.float32
    np.testing.assert_allclose(samples, tone(), atol=tolerance)


def test_reads_ogg_opus() -> None:
    samples = decode(encoded(tone(seconds=3, rate=48000), 48000, "OGG", "OPUS"), max_minutes=1)
    assert len(samples) == pytest.approx(3 * RATE, abs=400)
    spectrum = np.abs(np.fft.rfft(samples[RATE : 2 * RATE]))
    assert int(spectrum.argmax()) == 440


@pytest.mark.parametrize("rate", [11025, 16000, 44100, 48000])
def test_other_rates_become_8_khz_without_aliases(rate: int) -> None:
    wanted, alias = tone(1000, 25, rate), tone(4600, 25, rate)
    samples = decode(encoded(wanted + (alias if rate > 2 * 4600 else 0), rate), max_minutes=1)
    assert len(samples) == pytest.approx(25 * RATE, abs=2)
    spectrum = np.abs(np.fft.rfft(samples[: 24 * RATE])) / (12 * RATE)
    assert spectrum[24 * 1000] == pytest.approx(0.5, abs=0.01)
    assert spectrum[24 * 3400] < 1e-3


def test_48_khz_stereo_is_mixed_down() -> None:
    left, right = tone(500, 2, 48000), tone(1500, 2, 48000)
    samples = decode(encoded(np.stack([left, right], axis=1), 48000), max_minutes=1)
    spectrum = np.abs(np.fft.rfft(samples[:RATE])) / (RATE / 2)
    assert spectrum[[500, 1500]] == pytest.approx([0.25, 0.25], abs=0.01)


def test_reads_from_an_open_file(tmp_path: Path) -> None:
    path = tmp_path / "tone.wav"
    path.write_bytes(encoded(tone()))
    with path.open("rb") as file:
        assert len(decode(file, max_minutes=1)) == 2 * RATE


def test_a_file_called_raw_without_a_header_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "recording.raw"
    path.write_bytes(bytes(2000))
    with path.open("rb") as file, pytest.raises(AudioError) as caught:
        decode(file, max_minutes=1)
    assert caught.value.code == "audio_unreadable"


@settings(max_examples=150, deadline=None)
@given(
    good=st.sampled_from(
        [
            encoded(tone(seconds=0.3)),
            encoded(tone(seconds=0.3), subtype="ALAW"),
            encoded(tone(seconds=0.3), file_format="FLAC"),
            encoded(tone(seconds=0.3, rate=48000), 48000, "OGG", "OPUS"),
        ]
    ),
    changes=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=8),
    length=st.integers(1, 8000),
)
def test_a_mutated_recording_is_read_or_refused(good: bytes, changes: list[tuple[int, int]], length: int) -> None:
    mutated = bytearray(good)
    for position, value in changes:
        mutated[position % len(mutated)] = value
    samples, code = np.zeros(1, np.float32), "none"
    try:
        samples = decode(bytes(mutated[:length]), max_minutes=1)
    except AudioError as error:
        code = error.code
    assert code in {"none", "audio_unreadable", "audio_empty", "audio_too_long"}
    assert len(samples) <= 60 * RATE + 1
    assert np.abs(samples).max() <= 1


def test_a_cut_off_recording_gives_what_is_there() -> None:
    assert len(decode(encoded(tone())[: 44 + 2 * RATE], max_minutes=1)) == RATE


def test_values_beyond_full_scale_are_clipped() -> None:
    assert np.abs(decode(encoded(tone() * 8, subtype="FLOAT"), max_minutes=1)).max() == 1


def test_an_empty_file_is_named_so() -> None:
    assert code_of(b"") == "audio_empty"


@pytest.mark.parametrize("rate", [8000, 48000])
def test_a_header_without_samples_is_named_so(rate: int) -> None:
    assert code_of(wav(rate, 1, b"")) == "audio_empty"


@pytest.mark.parametrize(
    "data",
    [
        b"\x00",
        b"this is no recording at all" * 50,
        np.random.default_rng(5).bytes(5000),
        b"RIFF\x00\x00\x00\x00WAVE",
        encoded(tone(), file_format="FLAC")[:60],
        b"OggS" + bytes(200),
    ],
    ids=["one byte", "text", "noise", "bare header", "cut off FLAC", "broken Ogg"],
)
def test_what_is_no_recording_is_unreadable(data: bytes) -> None:
    assert code_of(data) in {"audio_unreadable", "audio_empty"}


def test_not_a_number_is_unreadable() -> None:
    samples = tone()
    samples[100] = np.nan
    assert code_of(encoded(samples, subtype="FLOAT")) == "audio_unreadable"


@pytest.mark.parametrize(("rate", "channels"), [(1, 1), (3999, 1), (768_000, 1), (8000, 9)])
def test_absurd_headers_are_refused(rate: int, channels: int) -> None:
    assert code_of(wav(rate, channels, bytes(2 * channels * 100))) == "audio_unreadable"


def test_the_limit_is_inclusive() -> None:
    exactly = encoded(np.zeros(60 * RATE, np.float32))
    assert len(decode(exactly, max_minutes=1)) == 60 * RATE
    assert code_of(encoded(np.zeros(60 * RATE + 1, np.float32))) == "audio_too_long"


def test_a_small_file_that_unpacks_to_hours_is_stopped_early() -> None:
    bomb = encoded(np.zeros(3 * 3600 * RATE, np.int16), file_format="FLAC")
    assert len(bomb) < 1_000_000
    tracemalloc.start()
    try:
        assert code_of(bomb, max_minutes=2) == "audio_too_long"
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # Two minutes are 3.8 MB.
    assert peak < 12_000_000
