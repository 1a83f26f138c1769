"""What an offer and its answer agreed on for one stream."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

from voice_verify.telephony.rtp.codecs import Codec
from voice_verify.telephony.rtp.srtp import SrtpKeys

Address = tuple[str, int]

_LAST_PORT = 65_535


@dataclass(frozen=True)
class MediaFormat:
    """`formats`: the negotiated payload types, the preferred audio first.

    `remote`: where the peer's SDP says its RTP is, None when it does not say so with an address. `rtcp`: its a=rtcp,
    None for the usual place. `held`: packets are counted, nothing is handed over.
    ValueError for addresses that are none, and when there is no format with audio.
    """

    formats: Mapping[int, Codec]
    remote: Address | None
    rtcp: Address | None = None
    rtcp_mux: bool = False
    srtp: SrtpKeys | None = None
    held: bool = False

    def __post_init__(self) -> None:
        if not any(codec.output for codec in self.formats.values()):
            raise ValueError("no format with audio was negotiated")
        for address in (self.remote, self.rtcp):
            if address:
                # Sending to a name would ask the DNS, and wait for it.
                ipaddress.ip_address(address[0])
                if not 0 < address[1] <= _LAST_PORT:
                    raise ValueError(f"{address[1]} is no port")

    @property
    def rtcp_address(self) -> Address | None:
        """Where the peer expects our reports."""
        if self.rtcp is not None and not self.rtcp_mux:
            return self.rtcp
        if self.remote is None:
            return None
        return self.remote if self.rtcp_mux else rtcp_port(self.remote)


def rtcp_port(rtp: Address) -> Address | None:
    """Next to the port for RTP (RFC 3550, section 11); None when there is none."""
    host, port = rtp
    return (host, port + 1) if port < _LAST_PORT else None
