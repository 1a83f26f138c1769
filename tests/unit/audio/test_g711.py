from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from voice_verify.audio import decode_alaw, decode_mulaw

EVERY_CODE = bytes(range(256))


@pytest.mark.parametrize(("law", "decode"), [("ALAW", decode_alaw), ("ULAW", decode_mulaw)])
def test_every_code_equals_libsndfile(law: str, decode: Callable[[bytes], NDArray[np.float32]]) -> None:
    expected, _ = soundfile.read(
        io.BytesIO(EVERY_CODE), dtype="float32", format="RAW", subtype=law, samplerate=8000, channels=1
    )
    np.testing.assert_array_equal(decode(EVERY_CODE), expected)


@pytest.mark.parametrize("decode", [decode_alaw, decode_mulaw])
def test_no_bytes_are_no_samples(decode: Callable[[bytes], NDArray[np.float32]]) -> None:
    assert decode(b"").shape == (0,)
    assert decode(b"").dtype == np.float32
