"""What an adapter makes of what its peer sends, and what it is asked for in return."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, Protocol
from uuid import UUID

from voice_verify.errors import VoiceVerifyError
from voice_verify.services.events import EndReason

MONO = "mono"
"""The channel of audio that is not split."""

LONGEST_TEXT = 256
"""Characters that are kept of what a peer says about a call."""

Message = str | bytes


class Name(StrEnum):
    """The protocols, as paths, metrics and the status of a stream name them."""

    twilio = "twilio"
    audiohook = "audiohook"
    vonage = "vonage"
    asterisk = "asterisk"
    jambonz = "jambonz"
    freeswitch = "freeswitch"
    audiosocket = "audiosocket"


@dataclass(frozen=True)
class Handshake:
    """What a peer said when it connected: the query, the headers by their names in small letters, and what it offered.

    `account`: who it has proved to be by the protocol's own signature; None when it came with a key or a ticket.
    """

    parameters: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    subprotocols: Sequence[str] = ()
    account: str | None = None


@dataclass(frozen=True)
class Format:
    """How audio comes. `channels`: those that there are, by the names of the protocol.

    `interleaved`: each frame holds all of them, in that order; else each frame is of one.
    """

    codec: str
    rate: int
    channels: tuple[str, ...] = (MONO,)
    interleaved: bool = False


@dataclass(frozen=True)
class Started:
    """The call begins. `uuid`: what the peer names it, taken for the stream of the customer while nobody has it yet.

    `parameters`: said for this call in the protocol's own way; the query wins over them.
    """

    format: Format
    call_id: str | None = None
    caller: str | None = None
    callee: str | None = None
    uuid: UUID | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Heard:
    """Audio of `channel`, or of all of them in one frame when that is None."""

    payload: bytes
    channel: str | None = None


@dataclass(frozen=True)
class Reply:
    """To be sent at once."""

    message: Message


@dataclass(frozen=True)
class Alive:
    """The peer is there although it sends no audio; `held`: it will send none until it says so."""

    held: bool | None = None


@dataclass(frozen=True)
class Finished:
    """The peer has said that the call is over."""


Action = Started | Heard | Reply | Alive | Finished


@dataclass(frozen=True)
class Opened:
    """A stream that was opened for a channel."""

    uuid: UUID
    channel: str


@dataclass(frozen=True)
class End:
    """Why the service ends a connection; `error` when something went wrong."""

    reason: EndReason
    error: VoiceVerifyError | None = None


class Adapter(Protocol):
    """One protocol, one connection: bytes and texts in, actions out.

    `channels`: how a caller may name them; the first is the customer's unless it says otherwise. `subprotocols`: of
    which one is agreed on when the peer offers it. `lingers`: the peer answers `ended` and closes by itself.
    `takes_events`: the protocol has a place for events of the service, told by `event`.
    """

    name: ClassVar[Name]
    channels: ClassVar[tuple[str, ...]] = (MONO,)
    subprotocols: ClassVar[tuple[str, ...]] = ()
    lingers: ClassVar[bool] = False
    takes_events: ClassVar[bool] = False

    def __init__(self, handshake: Handshake) -> None:
        """Raises InvalidRequest when the query asks for what there is not."""

    def text(self, message: str) -> list[Action]:
        """Raises BadMessage and UnexpectedText."""
        ...

    def binary(self, message: bytes) -> list[Action]:
        """Raises BadMessage and UnexpectedBinary."""
        ...

    def opened(self, streams: Sequence[Opened]) -> list[Message]:  # noqa: ARG002
        """What the peer is told when its streams have been opened."""
        return []

    def event(self, document: str) -> list[Message]:  # noqa: ARG002
        """How an event of a stream, a JSON object, is told."""
        return []

    def finished(self) -> list[Message]:
        """The answer to the end that the peer has announced."""
        return []

    def ended(self, end: End) -> list[Message]:  # noqa: ARG002
        """What the peer is told before the service closes the connection."""
        return []


def shortened(value: object) -> str | None:
    """A text of the peer as it may be stored and shown: one line, not too long; None for all else and for nothing."""
    if not isinstance(value, str):
        return None
    return "".join(letter for letter in value[:LONGEST_TEXT] if letter.isprintable()) or None
