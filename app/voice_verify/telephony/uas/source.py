"""Where a request really comes from, and whether it may come from there."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from voice_verify.telephony.sip import Flow, Request, Transport

# The edge writes it and removes those of others: docs/calls.md.
HEADER = "X-Edge-Source"

_EDGE_SOURCE = re.compile(r"^(udp|tcp|tls):\[?([0-9a-f.:]{2,45}?)\]?:(\d{1,5})$", re.IGNORECASE)

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class Source:
    """Who sent a request to this appliance; `host` is an address."""

    transport: Transport
    host: str
    port: int

    @property
    def secure(self) -> bool:
        """Nobody between him and us can read what he sends: keys of SRTP may stand in it."""
        return self.transport is Transport.TLS


class Sources:
    """`edge`: the address of our own proxy, "" for none; `peers`: the networks that may call, none for everybody."""

    def __init__(self, edge: str, peers: Sequence[str]) -> None:
        self._edge = address(edge)
        self._peers = [ipaddress.ip_network(peer, strict=False) for peer in peers]

    def of(self, request: Request, flow: Flow) -> Source:
        """What the edge says about the request, and for others the address that it was received from."""
        remote = flow.remote
        if self._edge is not None and address(remote.host) == self._edge:
            found = _EDGE_SOURCE.match(request.headers.get(HEADER) or "")
            if found is not None and address(found[2]) is not None:
                return Source(Transport(found[1].lower()), found[2], int(found[3]))
        return Source(remote.transport, remote.host, remote.port)

    def may_call(self, source: Source) -> bool:
        if not self._peers:
            return True
        caller = address(source.host)
        return caller is not None and any(caller in network for network in self._peers)


def address(text: str) -> IpAddress | None:
    """The address in a text, as IPv4 where it is that in IPv6 clothes; None for anything else."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def local_towards(host: str) -> str:
    """Our address on the way to `host`; sends nothing. Raises OSError where there is no way."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((host, 9))
        return str(probe.getsockname()[0])
