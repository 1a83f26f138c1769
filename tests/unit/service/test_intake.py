"""The short way of binary frames, behind a real server and a real socket."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame, Opcode
from websockets.sync.client import ClientConnection, connect

from voice_verify.api.intake import DirectFrames, take_directly

END = b"end"
MESSAGES = [bytes([number % 256]) * size for number, size in enumerate([0, 1, 125, 126, 160, 800, 65535, 65536, 70000])]


class Heard:
    """What a handler got: `directly` by the short way, `queued` by that of the framework."""

    def __init__(self, refuses: Callable[[bytes], bool] = lambda _: False) -> None:
        self.refuses = refuses
        self.directly: list[bytes] = []
        self.all: list[bytes] = []
        self.done = threading.Event()

    async def handle(self, websocket: WebSocket) -> None:
        await websocket.accept()
        take_directly(websocket, self._take)
        with suppress(WebSocketDisconnect):
            while True:
                self.all.append(await websocket.receive_bytes())
                if self.all[-1] == END:
                    break
        self.done.set()

    def _take(self, message: bytes) -> bool:
        if message == END or self.refuses(message):
            return False
        self.directly.append(message)
        self.all.append(message)
        return True


@contextmanager
def client(heard: Heard) -> Iterator[ClientConnection]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        app = Starlette(routes=[WebSocketRoute("/", heard.handle)])
        server = uvicorn.Server(uvicorn.Config(app, ws=DirectFrames, loop="uvloop", log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            with connect(f"ws://127.0.0.1:{listening.getsockname()[1]}/", compression=None) as connection:
                yield connection
        finally:
            server.should_exit = True
            thread.join()


def settle(connection: ClientConnection, heard: Heard) -> None:
    """Until the handler has asked for frames: what comes before goes the long way."""
    while not heard.directly:
        connection.socket.sendall(binary(b"ready?"))
        time.sleep(0.01)
    heard.all.clear()
    heard.directly.clear()


def wire(opcode: Opcode, data: bytes, *, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=True)


def binary(*messages: bytes) -> bytes:
    return b"".join(wire(Opcode.BINARY, message) for message in messages)


def test_the_library_does_not_see_the_frames_of_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []
    original = WebSocketsSansIOProtocol.data_received

    def watched(self: WebSocketsSansIOProtocol, data: bytes) -> None:
        seen.append(data)
        original(self, data)

    monkeypatch.setattr(WebSocketsSansIOProtocol, "data_received", watched)
    heard = Heard()
    with client(heard) as connection:
        settle(connection, heard)
        seen.clear()
        for _ in range(100):
            connection.socket.sendall(binary(b"\x55" * 800))
        connection.socket.sendall(binary(END))
        assert heard.done.wait(10)
    assert heard.directly == [b"\x55" * 800] * 100
    assert heard.all == [*heard.directly, END]
    # A frame that is torn on its way is for the library; few are.
    assert sum(map(len, seen)) < 20 * 800


@pytest.mark.parametrize("seed", range(5))
def test_it_does_not_matter_how_the_bytes_come(seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311 - repeatable
    expected = [rng.choice(MESSAGES) for _ in range(40)]
    stream = b""
    for message in expected:
        match rng.randrange(4):
            case 0:
                half = len(message) // 2
                stream += wire(Opcode.BINARY, message[:half], fin=False)
                stream += wire(Opcode.PING, b"between") + wire(Opcode.CONT, message[half:])
            case 1:
                stream += wire(Opcode.PONG, b"unasked") + binary(message)
            case _:
                stream += binary(message)
    heard = Heard()
    with client(heard) as connection:
        _send_in_pieces(connection, stream + binary(END), rng)
        assert heard.done.wait(10)
    assert heard.all == [*expected, END]


def test_what_is_not_taken_comes_by_the_queue_with_all_that_follows() -> None:
    heard = Heard(refuses=lambda message: message == b"no")
    with client(heard) as connection:
        settle(connection, heard)
        connection.socket.sendall(binary(b"1", b"2", b"no", b"3", b"4", END))
        assert heard.done.wait(10)
    assert heard.all == [b"1", b"2", b"no", b"3", b"4", END]
    assert heard.directly == [b"1", b"2"]


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(Frame(Opcode.BINARY, b"plain").serialize(mask=False), id="not masked"),
        pytest.param(b"\xc2" + binary(b"bits")[1:], id="a reserved bit"),
        pytest.param(b"\x83" + binary(b"opcode")[1:], id="an unknown opcode"),
        pytest.param(wire(Opcode.BINARY, b"a", fin=False) + binary(b"b"), id="a message within a message"),
    ],
)
def test_what_breaks_the_protocol_is_still_refused(wrong: bytes) -> None:
    heard = Heard()
    with client(heard) as connection:
        settle(connection, heard)
        connection.socket.sendall(wrong + binary(b"after"))
        assert heard.done.wait(10)
    assert heard.all == []


def _send_in_pieces(connection: ClientConnection, data: bytes, rng: random.Random) -> None:
    connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while data:
        size = rng.choice([1, 2, 5, 100, 806, 1460, 20_000])
        connection.socket.sendall(data[:size])
        data = data[size:]
