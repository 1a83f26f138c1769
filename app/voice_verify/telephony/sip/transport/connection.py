"""One TCP or TLS connection, whoever opened it."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import cast

from voice_verify.telephony.sip.counters import Count
from voice_verify.telephony.sip.errors import BadMessage, FailureCode, TransportFailed
from voice_verify.telephony.sip.stream import PONG, KeepAlive, StreamBroken, StreamParser
from voice_verify.telephony.sip.transport.addresses import plain
from voice_verify.telephony.sip.transport.flow import Endpoint, Receiver, Transport
from voice_verify.telephony.sip.transport.limits import Limits

log = logging.getLogger(__name__)

# A peer that vanished is found out within two minutes when nothing is said, and within 30 s when something is.
_KEEP_ALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 6),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 30_000),
)


class Connection(asyncio.Protocol):
    """A flow that is a connection; it reads messages and answers keep-alives."""

    reliable = True

    def __init__(
        self,
        transport: Transport,
        *,
        outgoing: bool,
        limits: Limits,
        count: Count,
        receiver: Receiver,
        on_made: Callable[[Connection], None],
        on_closed: Callable[[Connection], None],
    ) -> None:
        self.transport = transport
        self.outgoing = outgoing
        # Whose connection it counts as; nobody's when we opened it.
        self.source = ""
        self.remote = Endpoint(transport, "", 0)
        self.local = Endpoint(transport, "", 0)
        self._limits = limits
        self._count = count
        self._receiver = receiver
        self._on_made = on_made
        self._on_closed = on_closed
        self._parser = StreamParser()
        self._stream: asyncio.Transport | None = None
        self._ended = asyncio.Event()
        self._closing = False
        self._heard = self._now()
        # Since when a whole message is awaited; a connection that came in owes one from its beginning.
        self._owed_since: float | None = None if outgoing else self._heard

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    @property
    def closed(self) -> bool:
        return self._closing or self._ended.is_set() or self._stream is None or self._stream.is_closing()

    @property
    def made(self) -> bool:
        """Whether there ever was a connection, after TLS."""
        return self._stream is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's are not of asyncio's class, though they are used alike.
        self._stream = stream = cast("asyncio.Transport", transport)
        self._on_made(self)
        peer, ours = stream.get_extra_info("peername"), stream.get_extra_info("sockname")
        if not peer or not ours:
            # The peer was gone before we looked.
            stream.abort()
            return
        self.remote = Endpoint(self.transport, plain(peer[0]), peer[1])
        self.local = Endpoint(self.transport, plain(ours[0]), ours[1])
        for level, option, value in _KEEP_ALIVE:
            stream.get_extra_info("socket").setsockopt(level, option, value)

    def data_received(self, data: bytes) -> None:
        self._heard = self._now()
        for item in self._parser.feed(data):
            if self.closed:
                return
            match item:
                case KeepAlive.PING:
                    self._pong()
                case BadMessage():
                    self._owed_since = None
                    self._receiver.received_bad(self, item)
                    if isinstance(item, StreamBroken):
                        self._count("sip_connections_dropped", "bad_message")
                        self.close()
                        return
                case _:
                    self._owed_since = None
                    self._receiver.received(self, item)
        if self._parser.amid and self._owed_since is None:
            self._owed_since = self._heard

    def _pong(self) -> None:
        try:
            self.send(PONG)
        except TransportFailed as error:
            log.debug("no pong: %s", error)

    def connection_lost(self, exc: Exception | None) -> None:
        log.debug("connection %s ended: %s", self.remote, exc)
        self._ended.set()
        self._on_closed(self)

    def overdue(self, now: float) -> str:
        """Why the connection has to go at this time of the loop; empty when it may stay."""
        if self._owed_since is not None and now - self._owed_since > self._limits.half_open_s:
            return "half_open"
        if not self.outgoing and now - self._heard > self._limits.idle_s:
            return "idle"
        return ""

    def send(self, data: bytes) -> None:
        if self.closed or self._stream is None:
            raise TransportFailed(FailureCode.CLOSED, f"{self.remote}: the connection is closed")
        if self._stream.get_write_buffer_size() > self._limits.write_buffer_bytes:
            self.drop("slow_peer")
            raise TransportFailed(FailureCode.SLOW_PEER, f"{self.remote}: the peer does not read")
        self._stream.write(data)

    def drop(self, why: str) -> None:
        """Close at once and count it."""
        self._count("sip_connections_dropped", why)
        self.abort()

    def abort(self) -> None:
        """Close at once; what is buffered is lost."""
        self._closing = True
        if self._stream is not None:
            self._stream.abort()

    def close(self) -> None:
        if not self._closing and self._stream is not None:
            self._closing = True
            # A peer that does not read would keep the socket; the sweep aborts it when it is overdue.
            self._owed_since = self._now()
            self._stream.close()

    async def wait_closed(self) -> None:
        await self._ended.wait()

    def __repr__(self) -> str:
        return f"<Connection {self.remote}>"
