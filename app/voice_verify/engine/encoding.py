"""How audio reaches the engine: as the client sent it where that is smaller, decoded here for all streams at once."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from voice_verify.audio.g711 import decode_alaw, decode_mulaw

Block = NDArray[np.generic]
"""Encoded samples (n,) of one stream, 8 kHz mono; its dtype is that of the encoding."""

_PCM16_FULL_SCALE = np.float32(32768)


class Encoding(IntEnum):
    """8 kHz mono; the numbers stand in the protocol between API and engine."""

    float32 = 0
    pcm16 = 1
    alaw = 2
    mulaw = 3

    @property
    def dtype(self) -> np.dtype[np.generic]:
        return _DTYPES[self]


_DTYPES: dict[Encoding, np.dtype[np.generic]] = {
    Encoding.float32: np.dtype("<f4"),
    Encoding.pcm16: np.dtype("<i2"),
    Encoding.alaw: np.dtype(np.uint8),
    Encoding.mulaw: np.dtype(np.uint8),
}


ITEM_BYTES = {encoding: dtype.itemsize for encoding, dtype in _DTYPES.items()}


def decode(encoding: Encoding, samples: Block) -> NDArray[np.float32]:
    """Samples (n,) in [-1, 1]."""
    match encoding:
        case Encoding.alaw:
            return decode_alaw(samples.tobytes())
        case Encoding.mulaw:
            return decode_mulaw(samples.tobytes())
        case Encoding.pcm16:
            scaled: NDArray[np.float32] = samples.astype(np.float32)
            scaled /= _PCM16_FULL_SCALE
            return scaled
        case Encoding.float32:
            return samples.astype(np.float32, copy=False)


def decode_all(blocks: Sequence[tuple[Encoding, Block]]) -> list[NDArray[np.float32]]:
    """Each block decoded, by one look-up for all of an encoding: one for each block costs several times as much."""
    decoded: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(blocks)
    for encoding in {encoding for encoding, _ in blocks}:
        places = [place for place, block in enumerate(blocks) if block[0] is encoding]
        joined = decode(encoding, np.concatenate([blocks[place][1] for place in places]))
        start = 0
        for place in places:
            end = start + len(blocks[place][1])
            decoded[place] = joined[start:end]
            start = end
    return decoded
