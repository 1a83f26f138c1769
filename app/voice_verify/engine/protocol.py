"""What crosses the socket between the API process and the engine process.

Messages as in `voice_verify.processes.wire`; their number is that of the stream or recording.

| Kind | Code | Content |
|---|---|---|
| to the engine: `open`, `close`, `stop` | | |
| `clock` | | f64: when the audio that follows arrived, on the machine's monotonic clock |
| `audio` | encoding | samples of a stream |
| `recording`, then `analyse` | | float32 samples, in parts; then their end |
| from the engine: `ready` | | precision and model identity, as UTF-8 lines |
| `voice`, `closed`, `analysed` | | f64 net speech, audio, SNR (NaN: unknown), clipped share; f32[] embedding, or none |
| `failed` | which failure | its message and hint, as UTF-8 lines |
| `status` | | see `Status` |
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from voice_verify.engine.errors import EngineError, ModelError, NotRunning, Overloaded, StreamFailed
from voice_verify.engine.voice import Quality, Voice
from voice_verify.processes import wire
from voice_verify.processes.wire import ProtocolError, pack, text, unpack

_CLOCK = struct.Struct("<d")
_VOICE = struct.Struct("<4d")
_STATUS = struct.Struct("<7dQI")
_FAILURES: tuple[type[EngineError], ...] = (StreamFailed, Overloaded, ModelError, NotRunning)


class Kind(IntEnum):
    open = 1
    close = 2
    stop = 3
    clock = 4
    audio = 5
    recording = 6
    analyse = 7
    ready = 32
    voice = 33
    closed = 34
    analysed = 35
    failed = 36
    status = 37


Message = wire.Message[Kind]


class Parser(wire.Parser[Kind]):
    """Of this protocol."""

    def __init__(self) -> None:
        super().__init__(Kind)


class Ready(NamedTuple):
    """The engine has loaded its model."""

    precision: str
    model_identity: str


@dataclass(frozen=True)
class Status:
    """`cpu_*_s`: processor time since the start, by part; `lag_s`: age of the oldest audio not in its voice yet.

    `busy`: share of the time since the last report, 0 to 1, that the busiest kind of thread worked.
    """

    cpu_vad_s: float = 0.0
    cpu_features_s: float = 0.0
    cpu_embedding_s: float = 0.0
    cpu_other_s: float = 0.0
    lag_s: float = 0.0
    busy: float = 0.0
    # Of the machine's monotonic clock.
    at: float = 0.0
    memory_bytes: int = 0
    streams: int = 0

    @property
    def cpu_s(self) -> dict[str, float]:
        """Processor time by the names that the metrics have."""
        return {
            "vad": self.cpu_vad_s,
            "features": self.cpu_features_s,
            "embedding": self.cpu_embedding_s,
            "engine_other": self.cpu_other_s,
        }


def pack_clock(at: float) -> bytes:
    return pack(Kind.clock, content=_CLOCK.pack(at))


def unpack_clock(content: bytes) -> float:
    """Raises ProtocolError."""
    return float(unpack(_CLOCK, content)[0])


def pack_ready(ready: Ready) -> bytes:
    return pack(Kind.ready, content="\n".join(ready).encode())


def unpack_ready(content: bytes) -> Ready:
    """Raises ProtocolError."""
    precision, separator, identity = text(content).partition("\n")
    if not separator:
        raise ProtocolError("a ready message of one line")
    return Ready(precision, identity)


def pack_voice(kind: Kind, number: int, voice: Voice, *, with_embedding: bool = True) -> bytes:
    """A voice; without its embedding where the peer has it already."""
    ratio = voice.quality.snr_db
    snr_db = float("nan") if ratio is None else ratio
    numbers = _VOICE.pack(voice.net_speech_s, voice.audio_s, snr_db, voice.quality.clipped_share)
    has_one = with_embedding and voice.embedding is not None
    embedding = np.asarray(voice.embedding, "<f4").tobytes() if has_one else b""
    return pack(kind, number, numbers + embedding)


def has_embedding(content: bytes) -> bool:
    return len(content) > _VOICE.size


def unpack_voice(content: bytes) -> Voice:
    """Without an embedding when none was sent; raises ProtocolError."""
    net_speech_s, audio_s, snr_db, clipped_share = unpack(_VOICE, content[: _VOICE.size])
    rest = content[_VOICE.size :]
    if len(rest) % 4:
        raise ProtocolError(f"an embedding of {len(rest)} bytes")
    return Voice(
        embedding=np.frombuffer(rest, "<f4").astype(np.float32) if rest else None,
        net_speech_s=net_speech_s,
        audio_s=audio_s,
        quality=Quality(None if np.isnan(snr_db) else snr_db, clipped_share),
    )


def pack_failure(number: int, error: EngineError) -> bytes:
    """An error of this package; one that the protocol does not know arrives as StreamFailed."""
    code = _FAILURES.index(type(error)) if type(error) in _FAILURES else 0
    message = error.message.replace("\n", " ")
    return pack(Kind.failed, number, f"{message}\n{error.hint}".encode(), code=code)


def unpack_failure(message: Message) -> EngineError:
    """Raises ProtocolError."""
    if message.code >= len(_FAILURES):
        raise ProtocolError(f"a failure of kind {message.code}")
    reason, _, hint = text(message.content).partition("\n")
    return _FAILURES[message.code](reason, hint=hint)


def pack_status(status: Status) -> bytes:
    parts = (status.cpu_vad_s, status.cpu_features_s, status.cpu_embedding_s, status.cpu_other_s)
    return pack(
        Kind.status,
        content=_STATUS.pack(*parts, status.lag_s, status.busy, status.at, status.memory_bytes, status.streams),
    )


def unpack_status(content: bytes) -> Status:
    """Raises ProtocolError."""
    return Status(*unpack(_STATUS, content))
