"""Asterisk's AudioSocket: https://docs.asterisk.org/Configuration/Channel-Drivers/AudioSocket/.

Over TCP: a byte that says the kind, two with the length of what follows, most significant first. First comes the uuid
of the call, then audio: signed linear, 16 bit, little endian, one channel, at the rate that the kind says.
"""

from __future__ import annotations

from uuid import UUID

from voice_verify.errors import BadMessage, UnexpectedText
from voice_verify.media.actions import Action, Adapter, End, Finished, Format, Handshake, Heard, Message, Name, Started

HANGUP, IDENTITY, DTMF, ERROR = 0x00, 0x01, 0x03, 0xFF
RATES = dict(enumerate((8000, 12000, 16000, 24000, 32000, 44100, 48000, 96000, 192000), start=0x10))
UUID_BYTES = 16
HEADER_BYTES = 3
# The protocol leaves codes to the application; this one says that the connection was refused.
REFUSED = bytes([ERROR, 0, 1, 1])
HANG_UP = bytes([HANGUP, 0, 0])


class Audiosocket(Adapter):
    name = Name.audiosocket

    def __init__(self, handshake: Handshake) -> None:  # noqa: ARG002
        self._buffer = bytearray()
        self._uuid: UUID | None = None
        self._kind: int | None = None

    def text(self, message: str) -> list[Action]:  # noqa: ARG002
        raise UnexpectedText("AudioSocket has no text")

    def binary(self, message: bytes) -> list[Action]:
        """Takes bytes as they come, whole messages or not."""
        self._buffer += message
        actions: list[Action] = []
        start = 0
        while len(self._buffer) - start >= HEADER_BYTES:
            kind = self._buffer[start]
            end = start + HEADER_BYTES + int.from_bytes(self._buffer[start + 1 : start + HEADER_BYTES])
            self._check(kind, end - start - HEADER_BYTES)
            if end > len(self._buffer):
                break
            actions += self._take(kind, bytes(self._buffer[start + HEADER_BYTES : end]))
            start = end
        del self._buffer[:start]
        return actions

    def ended(self, end: End) -> list[Message]:
        return [HANG_UP] if end.error is None else [REFUSED, HANG_UP]

    def _check(self, kind: int, length: int) -> None:
        """Before all of it is there, so that little is kept for who does not speak this protocol."""
        if self._uuid is None and kind not in (IDENTITY, HANGUP, ERROR):
            raise BadMessage("The first message is not the uuid of the call")
        if kind == IDENTITY and length != UUID_BYTES:
            raise BadMessage(f"A uuid has {UUID_BYTES} bytes")
        if kind not in (HANGUP, IDENTITY, DTMF, ERROR, *RATES):
            raise BadMessage("There is no such kind of message")

    def _take(self, kind: int, payload: bytes) -> list[Action]:
        if kind in RATES:
            return self._hear(kind, payload)
        if kind == IDENTITY:
            if self._uuid is not None:
                raise BadMessage("The uuid of the call came twice")
            self._uuid = UUID(bytes=payload)
            return []
        return [] if kind == DTMF else [Finished()]

    def _hear(self, kind: int, payload: bytes) -> list[Action]:
        if self._kind is None:
            self._kind = kind
            call_id = str(self._uuid)
            return [
                Started(Format("pcm_s16le", RATES[kind]), call_id=call_id, parameters={"uuid": call_id}),
                Heard(payload),
            ]
        if kind != self._kind:
            raise BadMessage("The sample rate has changed during the call")
        return [Heard(payload)]
