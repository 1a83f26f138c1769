"""Binary frames of a live stream, turned into what the engine takes: 8 kHz mono.

Telephone codecs and 8 kHz PCM go on as they came: the engine decodes all streams at once, and the fewer bytes cross to
its process, the better.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import numpy as np
import soxr
from numpy.typing import NDArray

from voice_verify.engine import SAMPLE_RATE, Encoding
from voice_verify.engine.encoding import decode
from voice_verify.errors import BadFrame, UnsupportedChannel, UnsupportedCodec, UnsupportedRate

RATES = (SAMPLE_RATE, 16000)
ANY_RATES = (SAMPLE_RATE, 12000, 16000, 24000, 32000, 44100, 48000, 64000, 96000, 192000)
"""Of media protocols, whose peers cannot always choose."""
_PCM16_FULL_SCALE = np.float32(32768)


class Codec(StrEnum):
    pcm_s16le = "pcm_s16le"
    alaw = "alaw"
    mulaw = "mulaw"


class Channel(StrEnum):
    """Which of two interleaved channels is heard."""

    left = "0"
    right = "1"
    mix = "mix"


_ENCODINGS = {Codec.pcm_s16le: Encoding.pcm16, Codec.alaw: Encoding.alaw, Codec.mulaw: Encoding.mulaw}


class FrameDecoder:
    """Takes the frames of one connection; a resampled stream carries over from frame to frame.

    `encoding` is that of what `decode` returns.
    """

    def __init__(self, codec: str, rate: int, channel: str | None = None, *, rates: Sequence[int] = RATES) -> None:
        """`channel` says that frames hold two; raises UnsupportedCodec, UnsupportedRate and UnsupportedChannel."""
        if codec not in Codec.__members__:
            raise UnsupportedCodec("This codec is not supported", hint=f"give codec={'|'.join(Codec)} in the URL")
        if rate not in rates:
            raise UnsupportedRate(
                "This sample rate is not supported",
                hint=f"give rate={'|'.join(map(str, rates))} in the URL",
            )
        if channel is not None and channel not in set(Channel):
            raise UnsupportedChannel(
                "There is no such channel",
                hint=f"give channel={'|'.join(Channel)} in the URL for two channels, nothing for one",
            )
        self.codec = Codec(codec)
        self.rate = rate
        self._channel = None if channel is None else Channel(channel)
        self._sent = _ENCODINGS[self.codec]
        self._frame_bytes = self._sent.dtype.itemsize * (1 if channel is None else 2)
        self._resampler = None if rate == SAMPLE_RATE else soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32")
        is_changed = self._resampler is not None or self._channel is Channel.mix
        self.encoding = Encoding.pcm16 if is_changed else self._sent

    def decode(self, frame: bytes) -> bytes:
        """The audio of a frame at 8 kHz, mono, in `encoding`; raises BadFrame when it does not hold whole samples."""
        if len(frame) % self._frame_bytes:
            raise BadFrame(
                f"A frame of {len(frame)} bytes holds a part of a sample",
                hint=f"send whole samples of {self._frame_bytes} bytes, or say in the URL what you send",
            )
        if self._channel is None and self._resampler is None:
            return frame
        channels = np.frombuffer(frame, self._sent.dtype)
        match self._channel:
            case None:
                heard = [channels]
            case Channel.left:
                heard = [channels[::2]]
            case Channel.right:
                heard = [channels[1::2]]
            case Channel.mix:
                heard = [channels[::2], channels[1::2]]
        if self._resampler is None and len(heard) == 1:
            return heard[0].tobytes()
        audio = np.asarray(np.mean([decode(self._sent, samples) for samples in heard], axis=0, dtype=np.float32))
        if self._resampler is not None:
            audio = self._resampler.resample_chunk(audio)
        return _pcm16(audio)


def _pcm16(audio: NDArray[np.float32]) -> bytes:
    """Little-endian samples of 16 bits; a resampler may overshoot full scale."""
    samples: NDArray[np.int16] = np.clip(np.rint(audio * _PCM16_FULL_SCALE), -32768, 32767).astype("<i2")
    return samples.tobytes()
