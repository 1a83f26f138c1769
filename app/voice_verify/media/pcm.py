"""What jambonz and FreeSWITCH have in common: linear PCM of 16 bits, little endian, of one channel or two."""

from __future__ import annotations

from voice_verify.errors import UnsupportedChannel, UnsupportedRate
from voice_verify.media.actions import Format

CALLER, OTHER = "0", "1"
"""The channels of a stereo stream: the caller's first, as both document it."""

RATES = (8000, 16000, 24000, 32000, 48000, 64000)


def pcm(rate: int, mix: str) -> Format:
    """Raises UnsupportedRate and UnsupportedChannel."""
    if rate not in RATES:
        raise UnsupportedRate("This sample rate is not supported", hint=f"choose one of {', '.join(map(str, RATES))}")
    if mix == "stereo":
        return Format("pcm_s16le", rate, (CALLER, OTHER), interleaved=True)
    if mix not in ("mono", "mixed"):
        raise UnsupportedChannel("There is no such mix of channels", hint="choose mono, mixed or stereo")
    return Format("pcm_s16le", rate)
