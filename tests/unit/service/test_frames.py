from __future__ import annotations

import numpy as np
import pytest

from voice_verify.errors import BadFrame, UnsupportedCodec, UnsupportedRate
from voice_verify.services.frames import FrameDecoder


def test_reads_little_endian_samples() -> None:
    samples = FrameDecoder("pcm_s16le", 8000).decode(b"\x00\x80\x00\x40\x00\x00")
    np.testing.assert_array_equal(samples, np.array([-1.0, 0.5, 0.0], np.float32))


@pytest.mark.parametrize("codec", ["alaw", "mulaw"])
def test_g711_has_a_sample_a_byte(codec: str) -> None:
    assert FrameDecoder(codec, 8000).decode(bytes(range(160))).shape == (160,)


def test_frames_of_any_length_give_the_same_audio_at_16_khz() -> None:
    tone = (np.sin(np.arange(32000) * 2 * np.pi * 440 / 16000) * 20000).astype("<i2").tobytes()
    whole = FrameDecoder("pcm_s16le", 16000).decode(tone)
    decoder = FrameDecoder("pcm_s16le", 16000)
    pieces = np.concatenate([decoder.decode(tone[start : start + 642]) for start in range(0, len(tone), 642)])
    length = min(len(whole), len(pieces))
    assert length > 15000
    np.testing.assert_allclose(pieces[:length], whole[:length], atol=1e-4)


def test_an_empty_frame_is_no_audio() -> None:
    assert len(FrameDecoder("pcm_s16le", 8000).decode(b"")) == 0


def test_refuses_half_a_sample() -> None:
    with pytest.raises(BadFrame, match="3 bytes"):
        FrameDecoder("pcm_s16le", 8000).decode(b"abc")


def test_refuses_what_it_does_not_decode() -> None:
    with pytest.raises(UnsupportedCodec):
        FrameDecoder("opus", 8000)
    with pytest.raises(UnsupportedRate):
        FrameDecoder("alaw", 44100)
