"""Opus by Debian's libopus, which is loaded when a peer first offers it."""

from __future__ import annotations

import ctypes
from functools import cache

RATE = 16_000
# The longest packet that RFC 6716 allows: 120 ms.
_MAX_SAMPLES = RATE * 120 // 1000


@cache
def library() -> ctypes.CDLL | None:
    """libopus, or None where it is not installed."""
    try:
        opus = ctypes.CDLL("libopus.so.0")
    except OSError:
        return None
    opus.opus_decoder_get_size.argtypes = [ctypes.c_int]
    opus.opus_decoder_get_size.restype = ctypes.c_int
    opus.opus_decoder_init.argtypes = [ctypes.c_void_p, ctypes.c_int32, ctypes.c_int]
    opus.opus_decoder_init.restype = ctypes.c_int
    opus.opus_decode.argtypes = [
        ctypes.c_void_p,
        ctypes.c_char_p,
        ctypes.c_int32,
        ctypes.c_void_p,
        ctypes.c_int,
        ctypes.c_int,
    ]
    opus.opus_decode.restype = ctypes.c_int
    return opus


class OpusDecoder:
    """Mono at 16 kHz, whatever was sent."""

    def __init__(self) -> None:
        """Raises RuntimeError without libopus."""
        opus = library()
        if opus is None:
            raise RuntimeError("libopus.so.0 is not installed")
        self._opus = opus
        # The decoder lives in memory of ours: nothing to free.
        self._state = ctypes.create_string_buffer(opus.opus_decoder_get_size(1))
        self._samples = ctypes.create_string_buffer(2 * _MAX_SAMPLES)
        if opus.opus_decoder_init(self._state, RATE, 1) != 0:
            raise RuntimeError("libopus refuses mono at 16 kHz")

    def decode(self, payload: bytes) -> bytes:
        """pcm_s16le, at most 120 ms; raises ValueError for a payload that is no Opus packet."""
        # An empty payload would ask libopus to conceal a loss.
        count = (
            self._opus.opus_decode(self._state, payload, len(payload), self._samples, _MAX_SAMPLES, 0) if payload else 0
        )
        if count <= 0:
            raise ValueError("no Opus packet")
        return self._samples.raw[: 2 * count]
