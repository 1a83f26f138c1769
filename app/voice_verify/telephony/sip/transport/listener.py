"""How connections come in: counted against their source first, then through TLS, then served."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable

from voice_verify.telephony.sip.counters import Count
from voice_verify.telephony.sip.transport.addresses import family_of, plain
from voice_verify.telephony.sip.transport.connection import Connection
from voice_verify.telephony.sip.transport.limits import Census

log = logging.getLogger(__name__)

# Without a free file descriptor nothing can be accepted; connections end meanwhile.
_EXHAUSTED_PAUSE_S = 0.5


class Listener:
    """Accepts on one address.

    asyncio's own server tells of a TLS connection only after its handshake, and cannot limit those without one.
    """

    def __init__(
        self,
        host: str,
        port: int,
        context: ssl.SSLContext | None,
        *,
        make: Callable[[], Connection],
        census: Census,
        handshake_s: float,
        count: Count,
    ) -> None:
        """Raises OSError when the address is taken."""
        self._context = context
        self._make = make
        self._census = census
        self._handshake_s = handshake_s
        self._count = count
        self._socket = socket.create_server(
            (host, port), family=family_of(host), backlog=1024, dualstack_ipv6=host == "::"
        )
        self._socket.setblocking(False)
        self._admitting: set[asyncio.Task[None]] = set()
        self._accepting = asyncio.get_running_loop().create_task(self._accept())

    @property
    def bound(self) -> tuple[str, int]:
        """Address and port."""
        host, port = self._socket.getsockname()[:2]
        return host, port

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, address = await loop.sock_accept(self._socket)
            except OSError as error:
                log.warning("cannot accept connections: %s", error)
                await asyncio.sleep(_EXHAUSTED_PAUSE_S)
                continue
            source = plain(address[0])
            limit = self._census.enter(source)
            if limit:
                self._count("sip_connections_refused", limit)
                accepted.close()
                continue
            task = loop.create_task(self._admit(accepted, source))
            self._admitting.add(task)
            task.add_done_callback(self._admitting.discard)

    async def _admit(self, accepted: socket.socket, source: str) -> None:
        connection = self._make()
        connection.source = source
        handshake_s = None if self._context is None else self._handshake_s
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection, accepted, ssl=self._context, ssl_handshake_timeout=handshake_s
            )
        except OSError as error:
            self._count("sip_connections_dropped", "tls")
            log.info("no TLS with %s: %s", source, error)
        finally:
            # Once it was made, it leaves the census by itself when it is closed.
            if not connection.made:
                accepted.close()
                self._census.leave(source)

    async def close(self) -> None:
        """Accept nothing more, and give handshakes up."""
        tasks = [self._accepting, *self._admitting]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        self._socket.close()
