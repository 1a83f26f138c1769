"""Messages out of a byte stream (RFC 3261 section 18.3), and the keep-alives between them (RFC 5626 section 4.4.1)."""

from __future__ import annotations

from enum import Enum

from voice_verify.telephony.sip.errors import BadMessage
from voice_verify.telephony.sip.message import Message
from voice_verify.telephony.sip.parser import HEAD_BYTES, MESSAGE_BYTES, Head, content_length, finish, parse_head

_END = b"\r\n\r\n"


class KeepAlive(Enum):
    """What stands between messages, and wants to be answered with PONG. One line end alone is an answer, or nothing."""

    PING = b"\r\n\r\n"


PONG = b"\r\n"


class StreamBroken(BadMessage):
    """Where this message ends is not known, so that nothing after it can be read: the connection has to be closed."""


class StreamParser:
    """Takes bytes as they come; never holds more than one message."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._head: Head | None = None
        self._body_bytes = 0
        # As far as the end of a head was looked for, so that a slow sender costs no time.
        self._searched = 0

    @property
    def amid(self) -> bool:
        """Whether a message has begun that is not whole."""
        return self._head is not None or bool(self._buffer.strip(b"\r\n"))

    def feed(self, data: bytes) -> list[Message | KeepAlive | BadMessage]:
        """What these bytes complete, in order. A StreamBroken is the last thing that this parser gives."""
        self._buffer += data
        found: list[Message | KeepAlive | BadMessage] = []
        try:
            while (item := self._next()) is not None:
                found.append(item)
        except StreamBroken as error:
            self._buffer.clear()
            self._head = None
            found.append(error)
        return found

    def _next(self) -> Message | KeepAlive | BadMessage | None:
        if self._head is None:
            keep_alive = self._keep_alive()
            if keep_alive is not None:
                return keep_alive
            self._take_head()
        if self._head is None or len(self._buffer) < self._body_bytes:
            return None
        head, self._head = self._head, None
        body = bytes(self._buffer[: self._body_bytes])
        del self._buffer[: self._body_bytes]
        try:
            return finish(head, body)
        except BadMessage as error:
            return error

    def _keep_alive(self) -> KeepAlive | None:
        if self._buffer.startswith(KeepAlive.PING.value):
            del self._buffer[:4]
            return KeepAlive.PING
        # A line end may be the first half of a ping, unless something else follows.
        if self._buffer.startswith(PONG) and not KeepAlive.PING.value.startswith(self._buffer):
            del self._buffer[:2]
        return None

    def _take_head(self) -> None:
        if KeepAlive.PING.value.startswith(self._buffer):
            return
        end = self._buffer.find(_END, max(0, self._searched - len(_END)))
        self._searched = len(self._buffer)
        if end > HEAD_BYTES or (end < 0 and len(self._buffer) > HEAD_BYTES):
            raise StreamBroken(513, "The header fields are too long")
        if end < 0:
            return
        self._searched = 0
        try:
            head = parse_head(bytes(self._buffer[:end]))
        except BadMessage as error:
            raise StreamBroken(error.status, error.reason) from error
        length = content_length(head)
        if length is None:
            raise _broken(head)
        if end + len(_END) + length > MESSAGE_BYTES:
            head.bad(513, "Message Too Large")
            raise _broken(head)
        del self._buffer[: end + len(_END)]
        self._head, self._body_bytes = head, length


def _broken(head: Head) -> StreamBroken:
    head.bad(400, "Content-Length is missing")
    try:
        finish(head, b"")
    except BadMessage as error:
        return StreamBroken(error.status, error.reason, error.request)
    raise AssertionError("a head with a problem does not finish")
