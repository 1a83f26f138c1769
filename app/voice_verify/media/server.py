"""AudioSocket over TCP: who may connect, how many at once, and the wire for its adapter."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Sequence
from uuid import UUID

from voice_verify.media.actions import Adapter, End, Handshake, Message, Name
from voice_verify.media.audiosocket import Audiosocket
from voice_verify.media.connection import Connection, WireClosed
from voice_verify.media.session import Session
from voice_verify.services.events import EndReason, Event
from voice_verify.services.metrics import Metrics
from voice_verify.services.streams import StreamService

log = logging.getLogger(__name__)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

READ_BYTES = 1 << 16
# More than there can be streams, for those that have not begun; each is closed if it does not do so in time.
WAITING = 16
# A peer that does not read what it is told is not waited for.
WRITE_S = 5.0


class AudioSocketServer:
    """Listens for `peers` only; others are closed at once, and so are those beyond `max_streams` and some more."""

    def __init__(
        self,
        streams: StreamService,
        metrics: Metrics,
        *,
        host: str,
        port: int,
        peers: Sequence[Network],
        max_streams: int,
    ) -> None:
        self._streams = streams
        self._metrics = metrics
        self._host = host
        self._port = port
        self._peers = peers
        self._most = max_streams + WAITING
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Does nothing without peers; raises OSError when the port is taken."""
        if not self._peers:
            return
        self._server = await asyncio.start_server(self._accept, self._host, self._port, limit=READ_BYTES)
        address = self._server.sockets[0].getsockname()
        log.info("AudioSocket listens", extra={"fields": {"host": address[0], "port": address[1]}})

    async def stop(self) -> None:
        """Listen no more, and let the connections go whose streams have been ended."""
        if self._server is not None:
            self._server.close()
        if self._serving:
            await asyncio.wait(self._serving, timeout=WRITE_S)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        name = writer.get_extra_info("peername")
        if name is None:
            # It was gone before it was looked at.
            writer.transport.abort()
            return
        peer: str = name[0]
        if not self._may(peer):
            self._refuse(writer, "forbidden", peer)
        elif len(self._serving) >= self._most:
            self._refuse(writer, "too_many_connections", peer)
        else:
            task = asyncio.current_task()
            assert task is not None  # noqa: S101
            self._serving.add(task)
            try:
                await self._serve(TcpWire(reader, writer), peer)
            finally:
                self._serving.discard(task)
                writer.close()

    async def _serve(self, wire: TcpWire, peer: str) -> None:
        outcome = "internal_error"
        handshake = Handshake()
        try:
            outcome = await Connection(wire, Audiosocket(handshake), handshake, self._streams, peer).run()
        except Exception:
            log.exception("an AudioSocket connection failed")
        finally:
            self._count(outcome, peer)

    def _refuse(self, writer: asyncio.StreamWriter, code: str, peer: str) -> None:
        writer.transport.abort()
        self._count(code, peer)

    def _count(self, outcome: str, peer: str) -> None:
        self._metrics.media_connections.labels(Name.audiosocket.value, outcome).inc()
        if outcome != "ok":
            fields = {"protocol": Name.audiosocket, "code": outcome, "peer": peer}
            log.warning("media connection failed", extra={"fields": fields})

    def _may(self, peer: str) -> bool:
        address = ipaddress.ip_address(peer.partition("%")[0])
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._peers)


class TcpWire:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def receive(self) -> Message:
        """Bytes as they come; the end of them is as good as a hangup."""
        try:
            received = await self._reader.read(READ_BYTES)
        except OSError as error:
            raise WireClosed(EndReason.error) from error
        if not received:
            raise WireClosed(EndReason.client_closed)
        return received

    async def send(self, message: Message) -> None:
        assert isinstance(message, bytes)  # noqa: S101
        try:
            self._writer.write(message)
            async with asyncio.timeout(WRITE_S):
                await self._writer.drain()
        except (OSError, TimeoutError) as error:
            raise WireClosed(EndReason.error) from error

    async def tell(self, uuid: UUID, event: Event) -> None:
        """AudioSocket has no place for it."""

    async def close(self, end: End) -> None:  # noqa: ARG002
        """What there was to say has been sent."""
        self._writer.close()

    def take_directly(self, session: Session, adapter: Adapter) -> None:
        """Every byte is read here."""
