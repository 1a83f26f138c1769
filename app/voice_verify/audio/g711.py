"""G.711: A-law and µ-law bytes to samples, by table. Source of the formulas: ITU-T G.711 and G.191 (g711.c)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def _alaw_table() -> NDArray[np.float32]:
    """Every other bit is inverted; 3 bits of exponent, 4 of mantissa, half a step added."""
    code = np.arange(256) ^ 0x55
    exponent = (code >> 4) & 7
    mantissa = (code & 15) * 16 + 8
    magnitude = np.where(exponent == 0, mantissa, (mantissa + 256) << np.maximum(exponent - 1, 0))
    return (np.where(code & 0x80, magnitude, -magnitude) / 32768).astype(np.float32)


def _mulaw_table() -> NDArray[np.float32]:
    """All bits are inverted; the bias of 33 steps (132) is taken off after the shift."""
    code = np.arange(256) ^ 0xFF
    magnitude = (((code & 15) * 8 + 132) << ((code >> 4) & 7)) - 132
    return (np.where(code & 0x80, -magnitude, magnitude) / 32768).astype(np.float32)


_ALAW = _alaw_table()
_MULAW = _mulaw_table()


def decode_alaw(data: bytes) -> NDArray[np.float32]:
    """Samples in [-1, 1], one a byte."""
    return _ALAW[np.frombuffer(data, np.uint8)]


def decode_mulaw(data: bytes) -> NDArray[np.float32]:
    """Samples in [-1, 1], one a byte."""
    return _MULAW[np.frombuffer(data, np.uint8)]
