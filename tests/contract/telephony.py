"""A service with the tiny agent, and calls through it."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from voice_verify.licence import SignedLicence

from . import licences
from .running import EVENT_S, Service, free_port, until

ROOT = Path(__file__).parents[2]
AGENT = "tests.contract.tiny_agent"
COMMAND = (sys.executable, "-m", "tests.contract.tiny_service")
LICENCE = licences.licence(features=("websocket", "sip", "siprec"))
CALL = {
    "source": "sip",
    "peer": "192.0.2.7",
    "call_id": "a84b4c76e66710",
    "caller": "sip:anna@example.com",
    "callee": "sip:4711@voiceverify.example.com",
    "participant": None,
    "pbx": None,
    "uuid": None,
    "codec": "alaw",
    "rate": 8000,
}


class Telephony:
    """What a test does with the telephony process of `service`."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._address = ("127.0.0.1", int(service.environment["VV_SIP_PORT"]))

    @property
    def pid(self) -> int | None:
        return self.service.child(AGENT)

    def ready(self) -> dict[str, Any]:
        """What /health/ready says of telephony."""
        with self.service.client("") as client:
            checks = client.get("/health/ready").json()["checks"]
        (found,) = (check for check in checks if check["name"] == "telephony")
        return dict(found)

    def wait(self) -> None:
        """Until calls can come."""
        until(lambda: self.ready()["state"] == "ok")

    @contextmanager
    def call(self, **changes: Any) -> Iterator[Call]:
        with self._connected() as connection:
            yield Call(self.service, connection, {**CALL, **changes})

    def do(self, what: str, **members: Any) -> dict[str, Any]:
        """A command for the agent, and its answer; empty without one."""
        with self._connected() as connection, connection.makefile("rb") as lines:
            connection.sendall(json.dumps({"do": what, **members}).encode() + b"\n")
            answer = lines.readline()
            return json.loads(answer) if answer else {}

    def metrics(self) -> dict[str, float]:
        with self.service.client("") as client:
            lines = client.get("/metrics").text.splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    @contextmanager
    def _connected(self) -> Iterator[socket.socket]:
        with socket.create_connection(self._address, timeout=EVENT_S) as connection:
            yield connection


class Call:
    """A leg; `answer` is what the agent said to it: its uuid, or why it was refused."""

    def __init__(self, service: Service, connection: socket.socket, call: dict[str, Any]) -> None:
        self._service = service
        self._connection = connection
        self._lines: BinaryIO = connection.makefile("rb")
        connection.sendall(json.dumps(call).encode() + b"\n")
        self.answer = json.loads(self._lines.readline())

    @property
    def uuid(self) -> str:
        return str(self.answer["uuid"])

    @property
    def path(self) -> str:
        return f"/api/v2/streams/{self.uuid}"

    def send(self, audio: bytes | NDArray[np.generic]) -> None:
        """As fast as the agent takes it."""
        self._connection.sendall(audio if isinstance(audio, bytes) else audio.tobytes())

    def hang_up(self) -> dict[str, Any]:
        """End the call and return the report of it."""
        self._connection.shutdown(socket.SHUT_WR)
        return self.report()

    def report(self) -> dict[str, Any]:
        """The report of the stream, waiting for it if need be."""
        with self._service.client() as client:
            until(lambda: client.get(f"/api/v2/reports/{self.uuid}").status_code == 200)
            return dict(client.get(f"/api/v2/reports/{self.uuid}").json())

    def ended(self) -> str:
        """Why the service ended it, waiting for that."""
        return str(json.loads(self._lines.readline())["ended"])

    def described(self) -> dict[str, Any]:
        with self._service.client() as client:
            return dict(client.get(self.path).raise_for_status().json())


def make(
    folder: Path, model_dir: Path, database_url: str, *, licence: SignedLicence = LICENCE, **settings: Any
) -> Service:
    """Not started; a port of the loopback is where the agent listens."""
    service = Service(
        folder,
        model_dir,
        database_url,
        command=COMMAND,
        licence=licence,
        **{"sip_host": "127.0.0.1", "sip_port": free_port(), **settings},
    )
    service.environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return service
