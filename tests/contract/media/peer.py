"""A peer that plays an exchange against the running service."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from ..running import Service
from .exchange import Frame, Voice, contains, frames, text

SPEED = 10
"""So many times as fast as it was spoken."""


def dial(service: Service, exchange: dict[str, Any], *, query: str = "", **headers: str) -> ClientConnection:
    """Connect as the exchange says; without other headers with a key."""
    path = exchange["path"]
    if query:
        path += ("&" if "?" in path else "?") + query
    given = headers or {"Authorization": f"Bearer {service.keys['integrator']}"}
    return connect(
        f"ws://127.0.0.1:{service.port}{path}",
        additional_headers={**exchange.get("headers", {}), **given},
        subprotocols=exchange.get("subprotocols"),
        compression=None,
    )


def refused(service: Service, exchange: dict[str, Any], **headers: str) -> httpx.Response:
    """The answer to a handshake that is not let in."""
    try:
        with dial(service, exchange, **headers):
            raise AssertionError("it was let in")
    except InvalidStatus as error:
        answer = error.response
        return httpx.Response(answer.status_code, headers=dict(answer.headers), content=bytes(answer.body))


def play(
    connection: ClientConnection, steps: Sequence[dict[str, Any]], voices: Sequence[Voice], look: Callable[[], None]
) -> None:
    """All steps in their order; `look` is called where the exchange says that the call is verified."""
    for step in steps:
        ((kind, value),) = step.items()
        match kind:
            case "send":
                connection.send(text(value))
            case "receive":
                assert contains(answer := json.loads(connection.recv(timeout=20)), value), answer
            case "audio":
                speak(connection, list(frames(value, voices)), value["seconds"])
            case "verified":
                look()
            case "close":
                connection.close(code=value)
            case "closed":
                assert closed(connection)[0] == value


def speak(connection: ClientConnection, spoken: Sequence[Frame], seconds: float) -> None:
    """Send the frames, so many seconds each."""
    for frame in spoken:
        connection.send(frame)
        time.sleep(seconds / SPEED)


def closed(connection: ClientConnection) -> tuple[int | None, str | None]:
    """Code and reason with which the service closes the connection; what comes before is read."""
    try:
        while True:
            connection.recv(timeout=20)
    except ConnectionClosed:
        return connection.close_code, connection.close_reason
