"""Pairs of UDP ports: RTP on the even one, RTCP on the next (RFC 3550, section 11)."""

from __future__ import annotations

import errno
import socket
from collections import deque

# Ten seconds of 20 ms packets, as the kernel counts them: a process that stalls for so long loses nothing.
_RTP_BUFFER_BYTES = 256 << 10
_RTCP_BUFFER_BYTES = 16 << 10
# asm-generic/socket.h; the socket module has no names for them.
SO_TIMESTAMPNS = 35
SO_RXQ_OVFL = 40


class NoPorts(Exception):
    """No pair of ports can be had now."""


class PortPair:
    """Two bound sockets that do not block; of `pool` until `close()`."""

    def __init__(self, pool: PortPool, rtp: socket.socket, rtcp: socket.socket) -> None:
        self._pool = pool
        self.rtp = rtp
        self.rtcp = rtcp
        self.port: int = rtp.getsockname()[1]

    def close(self) -> None:
        """Give the pair back. Doing so again is harmless."""
        if self.rtp.fileno() >= 0:
            self.rtp.close()
            self.rtcp.close()
            self._pool.give_back(self.port)


class PortPool:
    """The pairs within [first, last], handed out first in, first out: late packets of a call find nobody."""

    def __init__(self, host: str, first: int, last: int) -> None:
        """`host` is the address to bind, "" for every one. An odd `first` is rounded up."""
        self._host = host or "0.0.0.0"  # noqa: S104
        self._family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._free = deque(range(first + first % 2, last, 2))

    @property
    def free(self) -> int:
        """Pairs that are not taken."""
        return len(self._free)

    def take(self) -> PortPair:
        """A bound pair; one that another program holds goes to the end of the queue.

        Raises NoPorts when none is left or none can be bound.
        """
        for _ in range(len(self._free)):
            port = self._free.popleft()
            try:
                rtp = self._bind(port, _RTP_BUFFER_BYTES)
                try:
                    rtcp = self._bind(port + 1, _RTCP_BUFFER_BYTES)
                except OSError:
                    rtp.close()
                    raise
            except OSError as error:
                self._free.append(port)
                if error.errno != errno.EADDRINUSE:
                    raise NoPorts(f"no socket for RTP on {self._host}: {error.strerror}") from error
                continue
            return PortPair(self, rtp, rtcp)
        raise NoPorts("all RTP ports are taken")

    def give_back(self, port: int) -> None:
        """For PortPair.close()."""
        self._free.append(port)

    def _bind(self, port: int, buffer_bytes: int) -> socket.socket:
        udp = socket.socket(self._family, socket.SOCK_DGRAM)
        try:
            udp.setblocking(False)
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
            # Sockets are read ten times a second: when a packet came is known only to the kernel.
            udp.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            udp.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
            udp.bind((self._host, port))
        except OSError:
            udp.close()
            raise
        return udp
