"""Which payload formats are understood, and how they are decoded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from G722 import G722

from voice_verify.telephony.rtp import opus

_BOTH_G722_RATES = (16_000, 64_000)
# The widest clock that a format without audio may have; it only has to count.
_MAX_CLOCK_RATE = 192_000


class Output(NamedTuple):
    """What is handed over: `codec` alaw, mulaw or pcm_s16le, at `rate` samples a second."""

    codec: str
    rate: int

    @property
    def sample_bytes(self) -> int:
        return 2 if self.codec == "pcm_s16le" else 1

    @property
    def silence(self) -> bytes:
        """One sample of it."""
        return {"alaw": b"\xd5", "mulaw": b"\xff"}.get(self.codec, b"\0\0")


@dataclass(frozen=True)
class Codec:
    """A format as an rtpmap names it. `output` None: accepted and ignored (telephone-event)."""

    name: str
    clock_rate: int
    channels: int
    output: Output | None


_PCMU = Codec("PCMU", 8000, 1, Output("mulaw", 8000))
_PCMA = Codec("PCMA", 8000, 1, Output("alaw", 8000))
# RFC 3551, section 4.5.2: its clock is 8000 by an old mistake, its samples are not.
_G722 = Codec("G722", 8000, 1, Output("pcm_s16le", 16_000))
# RFC 7587, section 7: always 48000 and 2, also for mono.
_OPUS = Codec("opus", 48_000, 2, Output("pcm_s16le", opus.RATE))


def find_codec(name: str, clock_rate: int, channels: int | None = None) -> Codec | None:
    """The format of an rtpmap (name in any case); None when it cannot be decoded, so must not be answered."""
    match name.lower():
        case "pcmu" | "pcma" | "g722" as fixed:
            codec = {"pcmu": _PCMU, "pcma": _PCMA, "g722": _G722}[fixed]
            return codec if clock_rate == codec.clock_rate and channels in (None, 1) else None
        case "opus":
            return _OPUS if clock_rate == 48_000 and channels == 2 and opus.library() is not None else None
        case "telephone-event" as event if 0 < clock_rate <= _MAX_CLOCK_RATE:
            return Codec(event, clock_rate, 1, None)
    return None


Decode = Callable[[bytes], bytes]
"""A payload to samples of the codec's output; raises ValueError for what is no payload of it."""


def decoder(codec: Codec) -> Decode:
    """A decoder with a state of its own for a codec with an output."""
    match codec.name:
        case "G722":
            return _g722()
        case "opus":
            return opus.OpusDecoder().decode
    # G.711 is handed over as it is.
    return bytes


def _g722() -> Decode:
    state = G722(*_BOTH_G722_RATES)

    def decode(payload: bytes) -> bytes:
        samples: bytes = state.decode(payload).tobytes()
        return samples

    return decode
