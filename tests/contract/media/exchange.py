"""Exchanges as the documents of the protocols write them, with real speech in place of their audio.

A step is `send` (a text frame: JSON, or words), `receive` (what must come, with any further members), `audio` (the
voices of the call, a channel each: interleaved in binary frames, or in text frames made of `as`), `verified` (here the
test looks at the call), `close` (the peer closes so), `closed` (the service does).
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

FOLDER = Path(__file__).with_name("exchanges")
RATE = 8000

Voice = NDArray[np.int16]
Frame = str | bytes


def load(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return document


def names() -> list[str]:
    return sorted(file.stem for file in FOLDER.glob("*.json"))


def text(message: Any) -> str:
    return message if isinstance(message, str) else json.dumps(message)


def frames(audio: dict[str, Any], voices: Sequence[Voice]) -> Iterator[Frame]:
    """The speech of 8 kHz `voices` as the step `audio` has it; as many voices as it has channels are taken."""
    wanted = 2 if audio.get("interleaved") else len(audio.get("as", (None,)))
    heard = [_at(voice, audio["rate"]) for voice in voices[:wanted]]
    if audio.get("interleaved"):
        heard = [np.stack(heard, axis=1).reshape(-1)]
    size = round(audio["seconds"] * audio["rate"]) * (2 if audio.get("interleaved") else 1)
    for start in range(0, len(heard[0]), size):
        for number, samples in enumerate(heard):
            payload = encoded(samples[start : start + size], audio["codec"])
            if "as" in audio:
                yield json.dumps(audio["as"][number]).replace("$audio", base64.b64encode(payload).decode())
            else:
                yield payload


def contains(message: Any, expected: Any) -> bool:
    """Whether all that is expected is there, in objects perhaps with more."""
    if isinstance(expected, dict):
        return isinstance(message, dict) and all(
            name in message and contains(message[name], value) for name, value in expected.items()
        )
    return bool(message == expected)


def encoded(samples: Voice, codec: str) -> bytes:
    """Made without the service's own code."""
    if codec == "pcm":
        return samples.astype("<i2").tobytes()
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format="RAW", subtype={"mulaw": "ULAW", "alaw": "ALAW"}[codec])
    return file.getvalue()


def _at(voice: Voice, rate: int) -> Voice:
    return voice if rate == RATE else soxr.resample(voice, RATE, rate).astype(np.int16)
