"""A way to a double from a network namespace: its doubles answer on the loopback of this one."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from vvctl.machine import Network

from .operator import Operator
from .platform import Platform


class Relay:
    """Passes on what comes in at a port of `address` to a port of 127.0.0.1."""

    def __init__(self, address: str, port: int) -> None:
        self._listener = socket.create_server((address, 0))
        self._to = ("127.0.0.1", port)

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    @property
    def url(self) -> str:
        address, port = self._listener.getsockname()
        return f"http://{address}:{port}"

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(self._to)
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=_copy, args=(source, sink), daemon=True).start()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    try:
        while block := source.recv(1 << 16):
            sink.sendall(block)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        # One of both is gone.
        source.close()
        sink.close()


@contextmanager
def apart(operator: Operator, platform: Platform) -> Iterator[tuple[str, str]]:
    """The operator sits at another computer; the network device towards it, and the appliance's URL from there."""
    arguments, environment = platform.run_arguments(), platform.env()
    with (
        Network() as network,
        Relay(network.host, _port_of(environment["AWS_ENDPOINT_URL"])) as cloud,
        Relay(network.host, _port_of(arguments[-1])) as voice,
    ):
        operator.prefix = ("ip", "netns", "exec", network.namespace)
        operator.environment = {"AWS_ENDPOINT_URL": cloud.url}
        yield network.namespace, voice.url


def _port_of(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


@contextmanager
def cut(device: str) -> Iterator[None]:
    """Nothing passes the network device meanwhile."""
    subprocess.run(["ip", "link", "set", device, "down"], check=True)
    try:
        yield
    finally:
        subprocess.run(["ip", "link", "set", device, "up"], check=True)
