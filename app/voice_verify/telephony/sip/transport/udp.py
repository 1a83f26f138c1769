"""Datagrams: a socket, and the peers seen from it."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from typing import cast

from voice_verify._generated import SIP_PORT
from voice_verify.telephony.sip.counters import Count
from voice_verify.telephony.sip.errors import BadMessage, FailureCode, TransportFailed
from voice_verify.telephony.sip.message import Message
from voice_verify.telephony.sip.parser import parse
from voice_verify.telephony.sip.transport.addresses import family_of, mapped, plain
from voice_verify.telephony.sip.transport.flow import Endpoint, Receiver, Transport

log = logging.getLogger(__name__)

# A burst of 150 calls that begin at once, while the process is busy for a second.
_RECEIVE_BUFFER_BYTES = 4 << 20


class UdpFlow:
    """A peer's address, seen from a socket; it is made for each datagram and equals the last one."""

    transport = Transport.UDP
    reliable = False

    def __init__(self, udp_socket: UdpSocket, host: str, port: int, *, outgoing: bool = False) -> None:
        self.remote = Endpoint(Transport.UDP, host, port)
        self.outgoing = outgoing
        self._socket = udp_socket

    @property
    def local(self) -> Endpoint:
        return self._socket.local_towards(self.remote.host)

    @property
    def closed(self) -> bool:
        return self._socket.closed.is_set()

    def send(self, data: bytes) -> None:
        self._socket.send(data, self.remote)

    def close(self) -> None:
        """The socket serves others."""

    async def wait_closed(self) -> None:
        await self._socket.closed.wait()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UdpFlow) and (self._socket, self.remote) == (other._socket, other.remote)

    def __hash__(self) -> int:
        return hash(self.remote)

    def __repr__(self) -> str:
        return f"<UdpFlow {self.remote}>"


class UdpSocket(asyncio.DatagramProtocol):
    """One bound socket."""

    def __init__(self, receiver: Receiver, count: Count) -> None:
        self.closed = asyncio.Event()
        self._receiver = receiver
        self._count = count
        self._transport: asyncio.DatagramTransport | None = None
        self._bound = Endpoint(Transport.UDP, "", 0)
        self._towards: dict[str, str] = {}

    @property
    def bound(self) -> Endpoint:
        """The address and port of the socket."""
        return self._bound

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's are not of asyncio's class, though they are used alike.
        self._transport = cast("asyncio.DatagramTransport", transport)
        host, port = transport.get_extra_info("sockname")[:2]
        self._bound = Endpoint(Transport.UDP, host, port)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        # Line ends and zeros alone keep a NAT open; an answer could be made to hit others by a spoofed source.
        if not data.strip(b"\r\n\0 "):
            return
        host, port = plain(addr[0]), addr[1]
        try:
            message = parse(data)
        except BadMessage as error:
            self._receiver.received_bad(UdpFlow(self, host, port), error)
        else:
            self._receiver.received(UdpFlow(self, host, _hears_at(message, host, port)), message)

    def error_received(self, exc: Exception) -> None:
        """ICMP says that a peer is gone; the transactions find that out by their timers."""
        self._count("sip_unsent", "icmp")
        log.debug("udp %s: %s", self._bound, exc)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self.closed.set()

    def send(self, data: bytes, to: Endpoint) -> None:
        """Raises TransportFailed."""
        if self._transport is None or self._transport.is_closing():
            raise TransportFailed(FailureCode.CLOSED, f"{to}: the socket is closed")
        try:
            self._transport.sendto(data, (mapped(to.host, family_of(self._bound.host)), to.port))
        except (OSError, ValueError) as error:
            raise TransportFailed(FailureCode.UNREACHABLE, f"{to}: cannot be sent ({error})") from error

    def local_towards(self, host: str) -> Endpoint:
        """Our address as that host would see it, which a socket for all addresses does not know."""
        if not ipaddress.ip_address(self._bound.host).is_unspecified:
            return self._bound
        if host not in self._towards:
            if len(self._towards) > 1000:
                self._towards.clear()
            self._towards[host] = _source_address(host)
        return Endpoint(Transport.UDP, self._towards[host], self._bound.port)

    def reaches(self, host: str) -> bool:
        """Whether it can send to that address: one for all of IPv6 speaks IPv4 too, one of the loopback stays there."""
        ours, theirs = ipaddress.ip_address(self._bound.host), ipaddress.ip_address(host)
        same = ours.version == theirs.version or self._bound.host == "::"
        return same and (theirs.is_loopback or not ours.is_loopback)

    def close(self) -> None:
        """Close the socket at once."""
        if self._transport is not None:
            self._transport.abort()


def _hears_at(message: Message, host: str, port: int) -> int:
    """The port at which the sender of a message waits for the answer.

    Without `rport` that is the one in Via (RFC 3261, section 18.2.2): Cisco's gateways send from another. Whoever
    names another host than his own is behind a NAT, where only the way back is open.
    """
    via = message.vias[0]
    try:
        own = ipaddress.ip_address(via.host.strip("[]")) == ipaddress.ip_address(host)
    except ValueError:
        own = False
    return via.port or SIP_PORT if own and "rport" not in via.parameters else port


def _source_address(host: str) -> str:
    """The address that the routes choose towards a host; nothing is sent."""
    with socket.socket(family_of(host), socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, 9))
        except OSError:
            return "::1" if ":" in host else "127.0.0.1"
        address: str = probe.getsockname()[0]
        return address
