"""Callers' side of `make bench-rtp`: RTP of many calls to the millisecond, over a line as bad as the plan says.

`python -m tests.load.rtp.sender` reads a Plan as JSON and prints an Account.
"""

from __future__ import annotations

import heapq
import json
import random
import socket
import struct
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

PACKET_S = 0.02
PACKET_BYTES = 160
PCMA = 8
_HEADER = struct.Struct("!BBHII")
# Far less than a packet's length, far more than a wake-up takes.
_WAIT_S = 0.001


@dataclass(frozen=True)
class Plan:
    """`audio`: a file of A-law that every call says in a loop, each from an `offset_of` its own."""

    address: str
    ports: list[int]
    packets: int
    audio: str
    loss: float
    jitter_s: float


@dataclass
class Account:
    """What became of it. `dropped`: by call, the numbers of packets that the line lost."""

    dropped: list[list[int]] = field(default_factory=list)
    sent: int = 0
    slowest_s: float = 0.0
    cpu_s: float = 0.0


def offset_of(call: int, audio_bytes: int) -> int:
    """Where in the audio a call begins, so that no two say the same at once."""
    return call * 7919 * PACKET_BYTES % (audio_bytes - PACKET_BYTES)


def said(audio: bytes, call: int, number: int) -> bytes:
    """Packet `number` of a call."""
    start = (offset_of(call, len(audio)) + number * PACKET_BYTES) % (len(audio) - PACKET_BYTES)
    return audio[start : start + PACKET_BYTES]


def run(plan: Plan, audio: bytes) -> Account:
    """Takes as long as the calls do."""
    calls = len(plan.ports)
    account = Account(dropped=[[] for _ in range(calls)])
    chance = random.Random(1)  # noqa: S311 (the same line every time)
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(calls)]
    for udp, port in zip(sockets, plan.ports, strict=True):
        udp.connect((plan.address, port))
    begun = time.monotonic() + 0.1
    # When the next packet leaves, its call and number; calls are spread over the 20 ms.
    leaving = [(begun + PACKET_S * call / calls, call, 0) for call in range(calls)]
    on_the_way: list[tuple[float, int, bytes]] = []
    while leaving or on_the_way:
        now = time.monotonic()
        while leaving and leaving[0][0] <= now:
            due, call, number = leaving[0]
            account.slowest_s = max(account.slowest_s, now - due)
            if number + 1 < plan.packets:
                heapq.heapreplace(leaving, (due + PACKET_S, call, number + 1))
            else:
                heapq.heappop(leaving)
            if chance.random() < plan.loss:
                account.dropped[call].append(number)
                continue
            header = _HEADER.pack(0x80, PCMA, (number + 65_000) & 0xFFFF, number * PACKET_BYTES, call + 1)
            arrival = due + chance.uniform(0, plan.jitter_s)
            heapq.heappush(on_the_way, (arrival, call, header + said(audio, call, number)))
        while on_the_way and on_the_way[0][0] <= now:
            _, call, packet = heapq.heappop(on_the_way)
            sockets[call].send(packet)
            account.sent += 1
        time.sleep(_WAIT_S)
    account.cpu_s = time.process_time()
    return account


def main() -> None:
    plan = Plan(**json.load(sys.stdin))
    print(json.dumps(asdict(run(plan, Path(plan.audio).read_bytes()))))


if __name__ == "__main__":
    main()
