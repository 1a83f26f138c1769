"""A clock that the test turns, a flow that keeps what is sent, and messages to begin with."""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Callable

import pytest

from voice_verify.telephony.sip import (
    Endpoint,
    FailureCode,
    Message,
    Request,
    Transport,
    TransportFailed,
    parse,
)


class Handle:
    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self._order = itertools.count()
        self._calls: list[tuple[float, int, Handle]] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[[], object], /) -> Handle:
        handle = Handle(callback)
        heapq.heappush(self._calls, (self.now + delay, next(self._order), handle))
        return handle

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while self._calls and self._calls[0][0] <= end:
            self.now, _, handle = heapq.heappop(self._calls)
            if not handle.cancelled:
                handle.callback()
        self.now = end

    @property
    def waiting(self) -> int:
        return sum(not handle.cancelled for _, _, handle in self._calls)


class Wire:
    """A flow to nobody."""

    outgoing = False

    def __init__(self, transport: Transport = Transport.UDP, host: str = "192.0.2.9", port: int = 5071) -> None:
        self.transport = transport
        self.reliable = transport is not Transport.UDP
        self.remote = Endpoint(transport, host, port)
        self.local = Endpoint(transport, "192.0.2.1", 5060)
        self.closed = False
        self.sent_bytes: list[bytes] = []

    def send(self, data: bytes) -> None:
        if self.closed:
            raise TransportFailed(FailureCode.CLOSED, "closed")
        self.sent_bytes.append(data)

    def close(self) -> None:
        self.closed = True

    async def wait_closed(self) -> None:
        raise NotImplementedError

    @property
    def sent(self) -> list[Message]:
        return [parse(data) for data in self.sent_bytes]

    @property
    def statuses(self) -> list[int]:
        """Of all responses, also of those to garbage, which are garbage in part."""
        return [int(data[8:11]) for data in self.sent_bytes if data.startswith(b"SIP/2.0 ")]

    @property
    def methods(self) -> list[str]:
        return [message.method for message in self.sent if isinstance(message, Request)]


class Counts(Counter[str]):
    def __call__(self, name: str, label: str = "") -> None:
        self[f"{name}:{label}" if label else name] += 1


def request(
    method: str = "INVITE",
    *,
    branch: str = "z9hG4bKone",
    cseq: str | None = None,
    to: str = "<sip:bot@example.com>",
    tag: str = "caller",
    call_id: str = "call@192.0.2.9",
    extra: str = "",
) -> Request:
    message = parse(
        (
            f"{method} sip:bot@example.com SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP host.example.com:5060;branch={branch};rport\r\n"
            f"From: <sip:alice@example.com>;tag={tag}\r\nTo: {to}\r\nCall-ID: {call_id}\r\n"
            f"CSeq: {cseq or f'7 {method}'}\r\n{extra}Content-Length: 0\r\n\r\n"
        ).encode()
    )
    assert isinstance(message, Request)
    return message


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def counts() -> Counts:
    return Counts()
