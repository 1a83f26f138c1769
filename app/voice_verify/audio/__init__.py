"""Recordings and telephone codecs to 8 kHz mono samples."""

from __future__ import annotations

from voice_verify.audio.decode import AudioError, decode
from voice_verify.audio.g711 import decode_alaw, decode_mulaw

__all__ = ["AudioError", "decode", "decode_alaw", "decode_mulaw"]
