"""Which formats are answered, and that they are decoded as their reference encoders meant them."""

from __future__ import annotations

import ctypes
import random
from array import array

import numpy as np
import pytest
from G722 import G722
from numpy.typing import NDArray

from voice_verify.telephony.rtp import Codec, Output, find_codec
from voice_verify.telephony.rtp.codecs import decoder
from voice_verify.telephony.rtp.opus import library

RATE = 16_000
OPUS_APPLICATION_VOIP = 2048
needs_opus = pytest.mark.skipif(library() is None, reason="libopus.so.0 is not installed")


def found(name: str, clock_rate: int, channels: int | None = None) -> Codec:
    codec = find_codec(name, clock_rate, channels)
    assert codec is not None
    return codec


def chirp(seconds: float) -> NDArray[np.int16]:
    """200 to 3000 Hz, as loud as speech."""
    time = np.arange(round(RATE * seconds)) / RATE
    phase = 2 * np.pi * (200 * time + 1400 * time**2 / seconds)
    return (8000 * np.sin(phase)).astype(np.int16)


def quality_db(sent: NDArray[np.int16], received: NDArray[np.int16], longest_delay: int) -> float:
    """Signal to noise at the delay where it is best."""
    best = -100.0
    for delay in range(longest_delay):
        got = received[delay:].astype(float)
        want = sent[: len(got)].astype(float)
        best = max(best, 10 * np.log10((want**2).mean() / ((got[: len(want)] - want) ** 2).mean()))
    return best


@pytest.mark.parametrize(
    ("name", "clock_rate", "channels", "output"),
    [
        ("PCMA", 8000, None, Output("alaw", 8000)),
        ("pcmu", 8000, 1, Output("mulaw", 8000)),
        ("G722", 8000, None, Output("pcm_s16le", 16_000)),
        pytest.param("opus", 48_000, 2, Output("pcm_s16le", 16_000), marks=needs_opus),
        ("telephone-event", 8000, None, None),
        ("Telephone-Event", 48_000, None, None),
    ],
)
def test_formats_that_are_answered(name: str, clock_rate: int, channels: int | None, output: Output | None) -> None:
    assert found(name, clock_rate, channels).output == output


@pytest.mark.parametrize(
    ("name", "clock_rate", "channels"),
    [
        ("PCMA", 16_000, None),
        ("PCMU", 8000, 2),
        ("G722", 16_000, None),
        ("opus", 48_000, None),
        ("opus", 16_000, 2),
        ("G729", 8000, None),
        ("iLBC", 8000, None),
        ("speex", 16_000, None),
        ("telephone-event", 0, None),
        ("CN", 8000, None),
        ("", 8000, None),
    ],
)
def test_formats_that_are_not(name: str, clock_rate: int, channels: int | None) -> None:
    assert find_codec(name, clock_rate, channels) is None


def test_g711_is_handed_over_as_it_is() -> None:
    payload = bytes(range(256))
    assert decoder(found("PCMA", 8000))(payload) == payload
    assert decoder(found("PCMU", 8000))(payload) == payload


def test_g722_sounds_as_it_was_spoken() -> None:
    sent = chirp(2.0)
    payload = G722(RATE, 64_000).encode(array("h", sent.tobytes()))
    decode = decoder(found("G722", 8000))
    received = b"".join(decode(payload[start : start + 160]) for start in range(0, len(payload), 160))
    assert len(received) == 2 * len(sent)
    assert quality_db(sent, np.frombuffer(received, "<i2"), 40) > 15


def test_g722_of_two_calls_does_not_mix() -> None:
    payload = G722(RATE, 64_000).encode(array("h", chirp(0.2).tobytes()))
    alone = decoder(found("G722", 8000))(payload)
    first, second = decoder(found("G722", 8000)), decoder(found("G722", 8000))
    parts = []
    for start in range(0, len(payload), 160):
        parts.append(first(payload[start : start + 160]))
        second(random.Random(start).randbytes(160))  # noqa: S311
    assert b"".join(parts) == alone


class OpusEncoder:
    """libopus, the reference."""

    def __init__(self, channels: int) -> None:
        opus = library()
        assert opus
        self._opus, self._channels = opus, channels
        opus.opus_encoder_get_size.argtypes = [ctypes.c_int]
        self._state = ctypes.create_string_buffer(opus.opus_encoder_get_size(channels))
        opus.opus_encoder_init.argtypes = [ctypes.c_void_p, ctypes.c_int32, ctypes.c_int, ctypes.c_int]
        assert opus.opus_encoder_init(self._state, 48_000, channels, OPUS_APPLICATION_VOIP) == 0
        opus.opus_encode.argtypes = [
            ctypes.c_void_p,
            ctypes.c_char_p,
            ctypes.c_int,
            ctypes.c_void_p,
            ctypes.c_int32,
        ]

    def encode(self, samples: NDArray[np.int16]) -> bytes:
        packet = ctypes.create_string_buffer(1500)
        size = self._opus.opus_encode(self._state, samples.tobytes(), len(samples) // self._channels, packet, 1500)
        assert size > 0
        return packet.raw[:size]


@needs_opus
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("packet_ms", [10, 20, 60])
def test_opus_sounds_as_it_was_spoken(channels: int, packet_ms: int) -> None:
    sent = chirp(1.2)
    # Three times each sample: 48 kHz, which holds what a 3 kHz chirp needs.
    wide = np.repeat(np.repeat(sent, 3), channels)
    encoder, decode = OpusEncoder(channels), decoder(found("opus", 48_000, 2))
    size = 48 * packet_ms * channels
    received = b"".join(decode(encoder.encode(wide[start : start + size])) for start in range(0, len(wide), size))
    assert len(received) == 2 * len(sent)
    # Opus is no waveform codec: the energy of each 20 ms is what must be the same.
    heard = np.frombuffer(received, "<i2").astype(float)
    levels = [
        10 * np.log10((audio[1600:-1600].reshape(-1, 320) ** 2).mean(axis=1) + 1)
        for audio in (sent.astype(float), heard)
    ]
    assert np.abs(levels[0] - levels[1]).max() < 3


@needs_opus
def test_what_is_no_opus_packet_is_refused() -> None:
    decode = decoder(found("opus", 48_000, 2))
    with pytest.raises(ValueError, match="Opus"):
        decode(b"")
    # Code 3 (RFC 6716, 3.2.5) with no frame count.
    with pytest.raises(ValueError, match="Opus"):
        decode(b"\x03")


@pytest.mark.parametrize("name", ["G722", "opus"])
def test_any_bytes_are_decoded_or_refused(name: str) -> None:
    codec = find_codec(name, 48_000 if name == "opus" else 8000, 2 if name == "opus" else None)
    if codec is None:
        pytest.skip("libopus.so.0 is not installed")
    decode, chance = decoder(codec), random.Random(722)  # noqa: S311
    for _ in range(3000):
        try:
            audio = decode(chance.randbytes(chance.randrange(200)))
        except ValueError:
            continue
        assert len(audio) % 2 == 0
        assert len(audio) <= 3840
