"""All sockets of the user agent: listening, connecting, closing what takes too long."""

from __future__ import annotations

import asyncio
import socket
import ssl

from voice_verify.telephony.sip.counters import Count, ignore
from voice_verify.telephony.sip.errors import FailureCode, TransportFailed
from voice_verify.telephony.sip.transport.connection import Connection
from voice_verify.telephony.sip.transport.failures import explain
from voice_verify.telephony.sip.transport.flow import Endpoint, Flow, Receiver, Transport
from voice_verify.telephony.sip.transport.limits import Census, Limits
from voice_verify.telephony.sip.transport.listener import Listener
from voice_verify.telephony.sip.transport.udp import UdpFlow, UdpSocket

# Who has not taken his connection by then is looked for that often.
_SWEEP_S = 1.0

# Transport, host, port, name in the certificate, TLS context.
_Way = tuple[Transport, str, int, str, ssl.SSLContext | None]


class Transports:
    """Gives what comes in, with its flow, to `receiver`, which has to be set before anything is opened."""

    receiver: Receiver

    def __init__(self, *, limits: Limits | None = None, count: Count = ignore) -> None:
        self._limits = limits or Limits()
        self._count = count
        self._census = Census(self._limits)
        self._listeners: list[Listener] = []
        self._udp: list[UdpSocket] = []
        self._connections: set[Connection] = set()
        self._ways: dict[_Way, Connection] = {}
        self._sweeping: asyncio.TimerHandle | None = None

    @property
    def connections(self) -> int:
        """Connections that are open, whoever opened them."""
        return len(self._connections)

    async def listen_udp(self, host: str, port: int) -> Endpoint:
        """Raises OSError when the address is taken."""
        _, udp = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: UdpSocket(self.receiver, self._count), local_addr=(host, port)
        )
        self._udp.append(udp)
        return udp.bound

    async def listen_tcp(self, host: str, port: int) -> Endpoint:
        """Raises OSError when the address is taken."""
        return self._listen(Transport.TCP, host, port, None)

    async def listen_tls(self, host: str, port: int, context: ssl.SSLContext) -> Endpoint:
        """Raises OSError when the address is taken."""
        return self._listen(Transport.TLS, host, port, context)

    def _listen(self, transport: Transport, host: str, port: int, context: ssl.SSLContext | None) -> Endpoint:
        self._sweep()
        listener = Listener(
            host,
            port,
            context,
            make=lambda: self._connection(transport, outgoing=False),
            census=self._census,
            handshake_s=self._limits.half_open_s,
            count=self._count,
        )
        self._listeners.append(listener)
        return Endpoint(transport, *listener.bound)

    def _connection(self, transport: Transport, *, outgoing: bool) -> Connection:
        return Connection(
            transport,
            outgoing=outgoing,
            limits=self._limits,
            count=self._count,
            receiver=self.receiver,
            on_made=self._connections.add,
            on_closed=self._closed,
        )

    async def connect(
        self,
        to: Endpoint,
        *,
        tls: ssl.SSLContext | None = None,
        server_name: str | None = None,
        timeout_s: float = 5.0,
        reuse: bool = True,
    ) -> Flow:
        """A flow to that host: for UDP from a listening socket, else a connection, open already or new.

        TLS needs a context; the certificate has to be of `server_name`, or of the host. Raises TransportFailed.
        """
        if to.transport is Transport.TLS and tls is None:
            raise ValueError("TLS needs a context")
        way = (to.transport, to.host, to.port, server_name or to.host, tls)
        known = self._ways.get(way)
        if reuse and known is not None and not known.closed:
            return known
        try:
            async with asyncio.timeout(timeout_s):
                if to.transport is Transport.UDP:
                    return await self._udp_flow(to)
                connection = await self._open(to, tls, server_name or to.host)
        except OSError as error:
            raise explain(error, to) from error
        except ValueError as error:
            # Of names that cannot be one: `..`, a label of 64 letters.
            raise TransportFailed(FailureCode.HOST_NOT_FOUND, f"{to}: this is no host name") from error
        if reuse:
            self._ways[way] = connection
        return connection

    async def _open(self, to: Endpoint, tls: ssl.SSLContext | None, server_name: str) -> Connection:
        self._sweep()
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            lambda: self._connection(to.transport, outgoing=True),
            to.host,
            to.port,
            ssl=tls,
            server_hostname=server_name if tls is not None else None,
        )
        return connection

    async def _udp_flow(self, to: Endpoint) -> UdpFlow:
        found = await asyncio.get_running_loop().getaddrinfo(to.host, to.port, type=socket.SOCK_DGRAM)
        addresses = [address[4][0] for address in found]
        for udp in self._udp:
            for address in addresses:
                if udp.reaches(str(address)):
                    return UdpFlow(udp, str(address), to.port, outgoing=True)
        address = str(addresses[0])
        await self.listen_udp("::" if ":" in address else "0.0.0.0", 0)  # noqa: S104 - the routes choose the address
        return UdpFlow(self._udp[-1], address, to.port, outgoing=True)

    def _closed(self, connection: Connection) -> None:
        self._connections.discard(connection)
        for way in [way for way, known in self._ways.items() if known is connection]:
            del self._ways[way]
        if connection.source:
            self._census.leave(connection.source)
        self.receiver.closed(connection)

    def _sweep(self) -> None:
        """Drop the connections that are overdue, and go on doing so."""
        loop = asyncio.get_running_loop()
        if self._sweeping is not None:
            self._sweeping.cancel()
        for connection in list(self._connections):
            why = connection.overdue(loop.time())
            if why:
                connection.drop(why)
        self._sweeping = loop.call_later(min(_SWEEP_S, self._limits.half_open_s / 4), self._sweep)

    async def close(self) -> None:
        """Close everything; what is buffered gets a moment to leave."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        for listener in self._listeners:
            await listener.close()
        open_now = list(self._connections)
        for connection in open_now:
            connection.close()
        waiting = [asyncio.ensure_future(connection.wait_closed()) for connection in open_now]
        if waiting:
            await asyncio.wait(waiting, timeout=1.0)
        for connection in open_now:
            connection.abort()
        for udp in self._udp:
            udp.close()
            await udp.closed.wait()
        for future in waiting:
            await future
