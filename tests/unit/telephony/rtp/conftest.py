"""Lines on ports that the kernel says are free."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest

from voice_verify.telephony.rtp import PortPool

from .line import Line

OpenLine = Callable[[], Line]


def free_ports(count: int) -> int:
    """The first of `count` ports, an even one, that nobody has now."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            first: int = probe.getsockname()[1]
        first += first % 2
        sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
        try:
            for number, udp in enumerate(sockets):
                udp.bind(("127.0.0.1", first + number))
        except (OSError, OverflowError):
            continue
        finally:
            for udp in sockets:
                udp.close()
        return first


@pytest.fixture
def pool() -> PortPool:
    first = free_ports(8)
    return PortPool("127.0.0.1", first, first + 7)


@pytest.fixture
def line(pool: PortPool) -> Iterator[OpenLine]:
    lines: list[Line] = []

    def make() -> Line:
        lines.append(Line(pool))
        return lines[-1]

    yield make
    for made in lines:
        made.finish()
