"""A bad network: forwards SIP and RTP between callers and the service, and loses and delays RTP on the way.

It stands in front of the service as a NAT does: each port of its address leads to the same port of the service, and
what the service answers goes back. `python -m tests.media.relay '{"address": …}'` (the fields of Road) runs it until
it is terminated, and then prints what became of the RTP packets, as JSON.
"""

from __future__ import annotations

import asyncio
import heapq
import json
import random
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial

import uvloop

# How often delayed packets are looked at: far less than the packets' 20 ms.
TICK_S = 0.002
DATAGRAM = 65535
# A second of one call is 9 kB; many calls share the moment at which the relay wakes up.
BUFFER = 1 << 20


@dataclass(frozen=True)
class Road:
    """From `address` to `service`: the share of RTP that is lost, and a delay that is even between 0 and `jitter_s`."""

    address: str
    service: str
    sip_port: int
    rtp_first: int
    rtp_last: int
    loss: float = 0.02
    jitter_s: float = 0.04
    seed: int = 1


@dataclass
class Count:
    """RTP packets towards the service."""

    given: int = 0
    lost: int = 0
    passed: int = 0


class Relay:
    def __init__(self, road: Road) -> None:
        self._road = road
        self._loop = asyncio.get_running_loop()
        self._random = random.Random(road.seed)  # noqa: S311 (the same loss every time)
        self._delayed: list[tuple[float, int, socket.socket, bytes]] = []
        self.count = Count()
        self._listen(road.sip_port, socket.socket.send)
        for port in range(road.rtp_first, road.rtp_last + 2):
            # RTCP, on odd ports, is not what the figures are about.
            self._listen(port, socket.socket.send if port % 2 else self._later)

    async def run(self) -> None:
        """Send what was delayed when its time has come."""
        while True:
            await asyncio.sleep(TICK_S)
            now = self._loop.time()
            while self._delayed and self._delayed[0][0] <= now:
                *_, back, data = heapq.heappop(self._delayed)
                with suppress(OSError):
                    back.send(data)
                self.count.passed += 1

    def _later(self, back: socket.socket, data: bytes) -> None:
        self.count.given += 1
        if self._random.random() < self._road.loss:
            self.count.lost += 1
            return
        due = self._loop.time() + self._random.uniform(0, self._road.jitter_s)
        heapq.heappush(self._delayed, (due, self.count.given, back, data))

    def _listen(self, port: int, forward: Callable[[socket.socket, bytes], object]) -> None:
        front = self._socket(port)
        backs: dict[tuple[str, int], socket.socket] = {}
        self._loop.add_reader(front, partial(self._from_caller, front, port, backs, forward))

    def _from_caller(
        self,
        front: socket.socket,
        port: int,
        backs: dict[tuple[str, int], socket.socket],
        forward: Callable[[socket.socket, bytes], object],
    ) -> None:
        with suppress(BlockingIOError):
            while True:
                data, caller = front.recvfrom(DATAGRAM)
                if caller not in backs:
                    # The service sees each caller of a port on a port of its own, which stays the same.
                    backs[caller] = self._socket(0)
                    backs[caller].connect((self._road.service, port))
                    self._loop.add_reader(backs[caller], partial(self._to_caller, backs[caller], front, caller))
                # The service has closed its port: callers learn that by SIP.
                with suppress(ConnectionRefusedError):
                    forward(backs[caller], data)

    @staticmethod
    def _to_caller(back: socket.socket, front: socket.socket, caller: tuple[str, int]) -> None:
        with suppress(BlockingIOError, ConnectionRefusedError):
            while True:
                front.sendto(back.recv(DATAGRAM), caller)

    def _socket(self, port: int) -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        made.bind((self._road.address, port))
        return made


async def main(road: Road) -> None:
    relay = Relay(road)
    running = asyncio.create_task(relay.run())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    print("ready", flush=True)
    with suppress(asyncio.CancelledError):
        await running
    print(json.dumps(asdict(relay.count)), flush=True)


if __name__ == "__main__":
    uvloop.run(main(Road(**json.loads(sys.argv[1]))))
