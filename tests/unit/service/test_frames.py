from __future__ import annotations

import numpy as np
import pytest

from voice_verify.engine import Encoding
from voice_verify.engine.encoding import decode
from voice_verify.errors import BadFrame, UnsupportedChannel, UnsupportedCodec, UnsupportedRate
from voice_verify.services.frames import FrameDecoder

LEFT = np.array([-32768, 16384, 0, 100], "<i2")
RIGHT = np.array([0, 16384, -32768, 300], "<i2")
STEREO = np.stack([LEFT, RIGHT], axis=1).tobytes()


@pytest.mark.parametrize(
    ("codec", "encoding"), [("pcm_s16le", Encoding.pcm16), ("alaw", Encoding.alaw), ("mulaw", Encoding.mulaw)]
)
def test_8_khz_goes_on_as_it_came(codec: str, encoding: Encoding) -> None:
    decoder = FrameDecoder(codec, 8000)
    frame = bytes(range(160))
    assert decoder.decode(frame) is frame
    assert decoder.encoding is encoding


@pytest.mark.parametrize("codec", ["pcm_s16le", "alaw"])
def test_frames_of_any_length_give_the_same_audio_at_16_khz(codec: str) -> None:
    tone = (np.sin(np.arange(32000) * 2 * np.pi * 440 / 16000) * 20000).astype("<i2").tobytes()
    whole = FrameDecoder(codec, 16000).decode(tone)
    decoder = FrameDecoder(codec, 16000)
    assert decoder.encoding is Encoding.pcm16
    pieces = b"".join(decoder.decode(tone[start : start + 642]) for start in range(0, len(tone), 642))
    length = min(len(whole), len(pieces))
    assert length > 30000
    one, other = (np.frombuffer(data[:length], "<i2").astype(int) for data in (whole, pieces))
    assert np.abs(one - other).max() <= 3


@pytest.mark.parametrize(("channel", "heard"), [("0", LEFT), ("1", RIGHT), ("mix", [-16384, 16384, -16384, 200])])
def test_hears_the_channel_that_was_named(channel: str, heard: list[int]) -> None:
    decoder = FrameDecoder("pcm_s16le", 8000, channel)
    np.testing.assert_array_equal(np.frombuffer(decoder.decode(STEREO), "<i2"), heard)


def test_hears_one_of_two_telephone_channels() -> None:
    frame = bytes(range(64))
    right = FrameDecoder("alaw", 8000, "1")
    assert (right.decode(frame), right.encoding) == (frame[1::2], Encoding.alaw)
    mixed = FrameDecoder("alaw", 8000, "mix")
    assert mixed.encoding is Encoding.pcm16
    samples = decode(Encoding.alaw, np.frombuffer(frame, np.uint8))
    expected = (samples[::2] + samples[1::2]) / 2
    np.testing.assert_allclose(np.frombuffer(mixed.decode(frame), "<i2") / 32768, expected, atol=1 / 32768)


def test_resamples_the_channel_that_was_named() -> None:
    tone = (np.sin(np.arange(16000) * 2 * np.pi * 440 / 16000) * 20000).astype("<i2")
    stereo = np.stack([np.zeros_like(tone), tone], axis=1).tobytes()
    alone = FrameDecoder("pcm_s16le", 16000).decode(tone.tobytes())
    assert FrameDecoder("pcm_s16le", 16000, "1").decode(stereo) == alone
    assert not any(FrameDecoder("pcm_s16le", 16000, "0").decode(stereo))


@pytest.mark.parametrize("parameters", [("pcm_s16le", 8000), ("pcm_s16le", 16000), ("alaw", 8000, "mix")])
def test_an_empty_frame_is_no_audio(parameters: tuple[str, int]) -> None:
    assert FrameDecoder(*parameters).decode(b"") == b""


@pytest.mark.parametrize(
    ("parameters", "frame"),
    [(("pcm_s16le", 8000), b"abc"), (("pcm_s16le", 8000, "mix"), b"abcdef"), (("mulaw", 8000, "0"), b"abc")],
)
def test_refuses_a_part_of_a_sample(parameters: tuple[str, int], frame: bytes) -> None:
    with pytest.raises(BadFrame, match=f"{len(frame)} bytes"):
        FrameDecoder(*parameters).decode(frame)


def test_refuses_what_it_does_not_decode() -> None:
    with pytest.raises(UnsupportedCodec):
        FrameDecoder("opus", 8000)
    with pytest.raises(UnsupportedRate):
        FrameDecoder("alaw", 44100)
    with pytest.raises(UnsupportedChannel):
        FrameDecoder("alaw", 8000, "2")
