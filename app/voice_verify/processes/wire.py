"""Messages over a socket between the service and a process of its own: a fixed header, no pickle.

Header, little endian: u32 bytes of content, u8 kind, u8 code, u32 number. Then the content. What kinds there are and
what they mean is up to each protocol.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import Any, Generic, NamedTuple, TypeVar

Kind = TypeVar("Kind", bound=IntEnum)

MAX_CONTENT = 1 << 20
"""Longer content is an error of the peer; what is larger goes in parts."""
_HEADER = struct.Struct("<IBBI")
_READ_BYTES = 1 << 18


class ProtocolError(Exception):
    """The peer sent what this protocol does not know; the connection is of no more use."""


class Message(NamedTuple, Generic[Kind]):
    kind: Kind
    code: int
    number: int
    content: bytes


def pack(kind: IntEnum, number: int = 0, content: bytes | memoryview = b"", *, code: int = 0) -> bytes:
    """One message; raises ValueError when its content is too long."""
    if len(content) > MAX_CONTENT:
        raise ValueError(f"a message holds at most {MAX_CONTENT} bytes, not {len(content)}")
    return _HEADER.pack(len(content), kind, code, number) + content


class Parser(Generic[Kind]):
    """Cuts a stream of bytes into messages, however it comes in pieces."""

    def __init__(self, kinds: type[Kind]) -> None:
        self._kinds = {int(kind): kind for kind in kinds}
        self._rest = bytearray()

    @property
    def is_between_messages(self) -> bool:
        return not self._rest

    def feed(self, data: bytes) -> Iterator[Message[Kind]]:
        """The messages that are whole now; raises ProtocolError."""
        self._rest += data
        start = 0
        while len(self._rest) - start >= _HEADER.size:
            length, kind, code, number = _HEADER.unpack_from(self._rest, start)
            if length > MAX_CONTENT or kind not in self._kinds:
                raise ProtocolError(f"message of kind {kind} with {length} bytes")
            end = start + _HEADER.size + length
            if end > len(self._rest):
                break
            yield Message(self._kinds[kind], code, number, bytes(memoryview(self._rest)[start + _HEADER.size : end]))
            start = end
        del self._rest[:start]


def receive(connection: socket.socket, parser: Parser[Kind]) -> Iterator[Message[Kind]]:
    """Messages until the peer closes its end; raises ProtocolError, also when that is in the middle of one."""
    while data := connection.recv(_READ_BYTES):
        yield from parser.feed(data)
    if not parser.is_between_messages:
        raise ProtocolError("the connection ended in the middle of a message")


def unpack(layout: struct.Struct, content: bytes) -> tuple[Any, ...]:
    """The numbers of a content; raises ProtocolError."""
    if len(content) != layout.size:
        raise ProtocolError(f"{len(content)} bytes where {layout.size} belong")
    return layout.unpack(content)


def text(content: bytes) -> str:
    """A content that is UTF-8; raises ProtocolError."""
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ProtocolError("a text that is not UTF-8") from error
