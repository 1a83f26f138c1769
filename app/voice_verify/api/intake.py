"""Uvicorn's WebSocket protocol, with a short way for binary frames.

By the ASGI queue each frame stops and starts reading and wakes a task; and the library parses frames of any kind, in
any pieces, step by step. A handler that takes frames at once, without waiting, may ask for them: then whole binary
frames, which is what calls are made of, are cut out here. Everything else goes the library's way, and so does what the
handler does not take.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.websockets import WebSocket
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request
from websockets.protocol import State
from websockets.speedups import apply_mask
from websockets.streams import StreamReader

EXTENSION = "voice_verify.frames"
Sink = Callable[[bytes], bool]

# RFC 6455, section 5.2: FIN and the opcode of a binary frame; MASK, as of every client; a length of 16 bits follows.
_WHOLE_BINARY, _MASKED, _LENGTH_16 = 0x82, 0x80, 126
_MASK_BYTES = 4


class DirectFrames(WebSocketsSansIOProtocol):
    """Gives whole binary messages to `sink`, once there is one and in the order of their arrival."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._sink: Sink | None = None

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if not self.handshake_complete:
            self.scope["extensions"][EXTENSION] = {"to": self._to}

    def data_received(self, data: bytes) -> None:
        taken = 0
        if self._sink is not None and self._is_between_messages:
            while (found := _binary_frame(data, taken)) and self._take(found[0]):
                taken = found[1]
        if taken < len(data):
            super().data_received(data[taken:] if taken else data)

    @property
    def _is_between_messages(self) -> bool:
        """Whether a message that comes now is the next one: the library has no part of one, and none waits."""
        conn = self.conn
        if conn.state is not State.OPEN or conn.current_size is not None or not self.queue.empty():
            return False
        # Between two frames its parser waits for anything to come; within one, for the rest of it.
        step: Any = conn.parser
        while (inner := getattr(step, "gi_yieldfrom", None)) is not None:
            step = inner
        return getattr(step, "gi_code", None) is StreamReader.at_eof.__code__

    def send_receive_event_to_app(self) -> None:
        # What waits in the queue came first.
        direct = self.curr_msg_data_type == "bytes" and self.queue.empty() and not self.close_sent
        if direct and self._take(self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)):
            self.frames = []
        else:
            super().send_receive_event_to_app()

    def _take(self, message: bytes) -> bool:
        if self._sink is None:
            return False
        if not self._sink(message):
            # The handler sees it again where it can answer.
            self._sink = None
        return self._sink is not None

    def _to(self, sink: Sink) -> None:
        self._sink = sink


def take_directly(websocket: WebSocket, sink: Sink) -> None:
    """Give binary messages to `sink`, which says whether it took one; the first that it does not ends this.

    Does nothing behind another server, where all go through `receive`.
    """
    extension = websocket.scope.get("extensions", {}).get(EXTENSION)
    if extension is not None:
        extension["to"](sink)


def _binary_frame(data: bytes, start: int) -> tuple[bytes, int] | None:
    """The payload of the whole, unfragmented binary frame of a client at `start`, and where it ends."""
    if len(data) - start < 2 or data[start] != _WHOLE_BINARY or not data[start + 1] & _MASKED:
        return None
    length, mask = data[start + 1] ^ _MASKED, start + 2
    if length > _LENGTH_16:
        return None
    if length == _LENGTH_16:
        length, mask = int.from_bytes(data[mask : mask + 2]), mask + 2
    payload = mask + _MASK_BYTES
    end = payload + length
    if end > len(data):
        return None
    return bytes(apply_mask(data[payload:end], data[mask:payload])), end
