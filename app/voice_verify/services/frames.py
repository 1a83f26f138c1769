"""Binary frames of a live stream, turned into what the engine takes: 8 kHz mono float32."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
import soxr
from numpy.typing import NDArray

from voice_verify.audio import g711
from voice_verify.engine import SAMPLE_RATE
from voice_verify.errors import BadFrame, UnsupportedCodec, UnsupportedRate

RATES = (SAMPLE_RATE, 16000)
PCM16_FULL_SCALE = 32768.0


class Codec(StrEnum):
    pcm_s16le = "pcm_s16le"
    alaw = "alaw"
    mulaw = "mulaw"


class FrameDecoder:
    """Decodes the frames of one connection; a resampled stream carries over from frame to frame."""

    def __init__(self, codec: str, rate: int) -> None:
        """Raises UnsupportedCodec and UnsupportedRate."""
        if codec not in Codec.__members__:
            raise UnsupportedCodec("This codec is not supported", hint=f"give codec={'|'.join(Codec)} in the URL")
        if rate not in RATES:
            raise UnsupportedRate(
                "This sample rate is not supported",
                hint=f"give rate={'|'.join(map(str, RATES))} in the URL",
            )
        self.codec = Codec(codec)
        self.rate = rate
        self._resampler = None if rate == SAMPLE_RATE else soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32")

    def decode(self, frame: bytes) -> NDArray[np.float32]:
        """The samples of a frame at 8 kHz in [-1, 1]; raises BadFrame when it holds half a sample."""
        samples = self._samples(frame)
        if self._resampler is None:
            return samples
        resampled: NDArray[np.float32] = self._resampler.resample_chunk(samples)
        return resampled

    def _samples(self, frame: bytes) -> NDArray[np.float32]:
        match self.codec:
            case Codec.alaw:
                return g711.decode_alaw(frame)
            case Codec.mulaw:
                return g711.decode_mulaw(frame)
            case Codec.pcm_s16le:
                if len(frame) % 2:
                    raise BadFrame(
                        f"A frame of {len(frame)} bytes holds half a sample",
                        hint="send whole samples of 2 bytes, or name the codec that you send in the URL",
                    )
                return (np.frombuffer(frame, dtype="<i2") / np.float32(PCM16_FULL_SCALE)).astype(np.float32, copy=False)
