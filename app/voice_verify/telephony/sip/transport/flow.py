"""What a message came in on, and what its answer goes out on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from voice_verify.telephony.sip.errors import BadMessage
from voice_verify.telephony.sip.message import Message


class Transport(StrEnum):
    """How messages travel."""

    UDP = "udp"
    TCP = "tcp"
    TLS = "tls"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address and port; a host of IPv6 stands without brackets."""

    transport: Transport
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.transport}:{host}:{self.port}"


class Flow(Protocol):
    """A connection, or a peer's address seen from a UDP socket."""

    @property
    def transport(self) -> Transport: ...

    @property
    def remote(self) -> Endpoint: ...

    @property
    def local(self) -> Endpoint:
        """Our side; on a socket for all addresses, the one that this machine uses towards the peer."""

    @property
    def reliable(self) -> bool:
        """Whether nothing needs to be sent twice."""

    @property
    def outgoing(self) -> bool:
        """Whether we opened it."""

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent any more."""

    def send(self, data: bytes) -> None:
        """Send one message; raises TransportFailed when the flow is closed or the peer takes nothing."""

    def close(self) -> None:
        """Send what is buffered and close a connection; a UDP flow is left as it is."""

    async def wait_closed(self) -> None:
        """Until a connection is closed, or the transports are."""


class Receiver(Protocol):
    """Who is told what happens on the flows."""

    def received(self, flow: Flow, message: Message) -> None:
        """A message came."""

    def received_bad(self, flow: Flow, error: BadMessage) -> None:
        """Something came that is none."""

    def closed(self, flow: Flow) -> None:
        """A connection is closed."""
