"""What crosses the socket between the service and the telephony process.

Messages as in `voice_verify.processes.wire`; their number is that of a leg, chosen by the telephony process and never
used again by it. Documents are JSON.

| Kind | Code | Content |
|---|---|---|
| to the process: `config`, once, first | | `TelephonyConfig` |
| `pbx` | | all PBX instances there are now |
| `opened` | | 16 bytes: uuid of the stream |
| `refused` | | `Refused` |
| `ended` | | why the service ended the stream, UTF-8 |
| `stop` | | |
| from the process: `ready`, once | | |
| `failed`, once, instead of it | | message and hint, as UTF-8 lines |
| `open` | | `CallInfo` |
| `audio` | | the next block of a leg |
| `codec` | format | what the blocks that follow are in |
| `hold` | 0 or 1 | whether the leg is held |
| `end` | reason | the leg is over, also one that is not opened yet |
| `states` | | all registrations |
| `status` | | `Status`, twice a second |
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from voice_verify.processes import wire
from voice_verify.processes.wire import ProtocolError, pack, text
from voice_verify.telephony.agent import (
    MAX_TEXT,
    AgentError,
    CallInfo,
    Codec,
    LastError,
    LegEnd,
    PbxInstance,
    PbxState,
    Refused,
    RegistrationState,
    TelephonyConfig,
)

T = TypeVar("T")


class Kind(IntEnum):
    config = 1
    pbx = 2
    opened = 3
    refused = 4
    ended = 5
    stop = 6
    ready = 32
    failed = 33
    open = 34
    audio = 35
    codec = 36
    hold = 37
    end = 38
    states = 39
    status = 40


Message = wire.Message[Kind]


class Parser(wire.Parser[Kind]):
    """Of this protocol."""

    def __init__(self) -> None:
        super().__init__(Kind)


class Format(NamedTuple):
    codec: Codec
    rate: int


FORMATS = (Format("alaw", 8000), Format("mulaw", 8000), Format("pcm_s16le", 8000), Format("pcm_s16le", 16000))
"""What a leg may send, by the code of `codec`."""
_ENDS = tuple(LegEnd)


@dataclass(frozen=True)
class Status:
    """Of the process since its start. `counts`: by name and kind, empty for none; `gauges`: by name."""

    cpu_s: float = 0.0
    memory_bytes: int = 0
    counts: Mapping[tuple[str, str], float] = field(default_factory=dict)
    gauges: Mapping[str, float] = field(default_factory=dict)


def pack_config(config: TelephonyConfig) -> bytes:
    document = {**vars(config), "pbx": [vars(instance) for instance in config.pbx]}
    return pack(Kind.config, content=_json(document))


def unpack_config(content: bytes) -> TelephonyConfig:
    """Raises ProtocolError."""

    def read(document: Any) -> TelephonyConfig:
        paths = {name: document[name] and Path(document[name]) for name in ("tls_certificate", "tls_key", "ca_file")}
        peers, pbx = tuple(document["peers"]), tuple(map(_pbx, document["pbx"]))
        return TelephonyConfig(**{**document, **paths, "peers": peers, "pbx": pbx})

    return _read(content, read)


def pack_pbx(instances: Sequence[PbxInstance]) -> bytes:
    return pack(Kind.pbx, content=_json([vars(instance) for instance in instances]))


def unpack_pbx(content: bytes) -> Sequence[PbxInstance]:
    """Raises ProtocolError."""
    return _read(content, lambda document: list(map(_pbx, document)))


def pack_open(number: int, call: CallInfo) -> bytes:
    """Raises ValueError when this protocol does not know the format of the audio."""
    pack_codec(number, call.codec, call.rate)
    return pack(Kind.open, number, _json(vars(call)))


def unpack_open(content: bytes) -> CallInfo:
    """Its texts are short and printable, whatever the peer sent; raises ProtocolError."""

    def read(document: Any) -> CallInfo:
        words = {name: clean(document[name]) for name in ("peer", "call_id", "caller", "callee")}
        participant = document["participant"]
        others = {
            "participant": None if participant is None else clean(participant),
            "pbx": document["pbx"] and UUID(document["pbx"]),
            "uuid": document["uuid"] and UUID(document["uuid"]),
        }
        call = CallInfo(**{**document, **words, **others})
        if (call.codec, call.rate) not in FORMATS or call.source not in ("sip", "siprec"):
            raise ValueError(call.source)
        return call

    return _read(content, read)


def clean(words: str) -> str:
    """What a peer wrote, as a line that any database and any list takes."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in words[:MAX_TEXT])


def pack_opened(number: int, uuid: UUID) -> bytes:
    return pack(Kind.opened, number, uuid.bytes)


def unpack_opened(content: bytes) -> UUID:
    """Raises ProtocolError."""
    try:
        return UUID(bytes=content)
    except ValueError as error:
        raise ProtocolError(f"a uuid of {len(content)} bytes") from error


def pack_refused(number: int, refused: Refused) -> bytes:
    names = ("code", "status", "reason", "text", "retry_after_s")
    return pack(Kind.refused, number, _json({name: getattr(refused, name) for name in names}))


def unpack_refused(content: bytes) -> Refused:
    """Raises ProtocolError."""
    return _read(content, lambda document: Refused(**document))


def pack_codec(number: int, codec: Codec, rate: int) -> bytes:
    """Raises ValueError when this protocol does not know it."""
    return pack(Kind.codec, number, code=FORMATS.index(Format(codec, rate)))


def unpack_codec(message: Message) -> Format:
    """Raises ProtocolError."""
    return _chosen(FORMATS, message.code)


def pack_end(number: int, reason: LegEnd) -> bytes:
    return pack(Kind.end, number, code=_ENDS.index(reason))


def unpack_end(message: Message) -> LegEnd:
    """Raises ProtocolError."""
    return _chosen(_ENDS, message.code)


def pack_states(states: Sequence[PbxState]) -> bytes:
    documents = [{**vars(item), "last_error": item.last_error and vars(item.last_error)} for item in states]
    return pack(Kind.states, content=_json(documents))


def unpack_states(content: bytes) -> Sequence[PbxState]:
    """Raises ProtocolError."""
    return _read(content, lambda document: list(map(_state, document)))


def pack_status(status: Status) -> bytes:
    counts = [[name, kind, count] for (name, kind), count in status.counts.items()]
    return pack(Kind.status, content=_json({**vars(status), "counts": counts}))


def unpack_status(content: bytes) -> Status:
    """Raises ProtocolError."""

    def read(document: Any) -> Status:
        counts = {(name, kind): float(count) for name, kind, count in document.pop("counts")}
        return Status(**document, counts=counts)

    return _read(content, read)


def pack_failed(error: AgentError) -> bytes:
    message = error.message.replace("\n", " ")
    return pack(Kind.failed, content=f"{message}\n{error.hint}".encode())


def unpack_failed(content: bytes) -> AgentError:
    """Raises ProtocolError."""
    message, _, hint = text(content).partition("\n")
    return AgentError(message, hint=hint)


def _json(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":"), default=_written).encode()


def _written(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, UUID | Path):
        return str(value)
    raise TypeError(type(value))


def _read(content: bytes, read: Callable[[Any], T]) -> T:
    try:
        return read(json.loads(content))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ProtocolError(f"a document that is none of this protocol ({type(error).__name__})") from error


def _chosen(options: Sequence[T], code: int) -> T:
    if code >= len(options):
        raise ProtocolError(f"code {code} where there are {len(options)}")
    return options[code]


def _pbx(document: Any) -> PbxInstance:
    return PbxInstance(**{**document, "uuid": UUID(document["uuid"])})


def _state(document: Any) -> PbxState:
    error = document["last_error"]
    return PbxState(
        uuid=UUID(document["uuid"]),
        state=RegistrationState(document["state"]),
        since=_moment(document["since"]),
        until=_moment(document["until"]),
        last_error=error and LastError(clean(error["code"]), clean(error["message"]), _moment(error["at"])),
    )


def _moment(written: Any) -> Any:
    return written and datetime.fromisoformat(written)
