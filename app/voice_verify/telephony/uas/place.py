"""Where peers reach us: the addresses in Contact and SDP."""

from __future__ import annotations

from dataclasses import dataclass

from voice_verify.telephony.sip import Flow, SipUri, Transport
from voice_verify.telephony.uas import recording as siprec
from voice_verify.telephony.uas.source import Source, address, local_towards


@dataclass(frozen=True)
class Place:
    """`advertised`: the address that is always said, empty for the one that the peer was reached from.

    `listens_with_tls`: this process itself, not an edge in front of it.
    """

    advertised: str
    port: int
    tls_port: int | None
    listens_with_tls: bool

    def address(self, source: Source, flow: Flow) -> str:
        """Of ours, for that peer."""
        if self.advertised:
            return self.advertised
        if address(source.host) == address(flow.remote.host):
            return flow.local.host
        # An edge is in between, on a way of its own.
        try:
            return local_towards(source.host)
        except OSError:
            return flow.local.host

    def contact(self, host: str, source: Source, flow: Flow, *, sips: bool, recording: bool) -> str:
        """Value of a Contact (RFC 3261, section 8.1.1.8); a recording server says that it is one (RFC 7866).

        `sips`: the peer called a `sips:` URI, and must get one (section 12.1.1).
        """
        secure = source.transport is Transport.TLS
        port = self.tls_port if secure and self.tls_port is not None else self.port
        if flow.transport is Transport.TLS and not self.listens_with_tls:
            # The connection on which we registered: nowhere else would somebody answer.
            port = flow.local.port
        if secure and sips:
            uri = SipUri(host=host, port=port, scheme="sips")
        else:
            reach: dict[str, str | None] = (
                {} if source.transport is Transport.UDP else {"transport": source.transport.value}
            )
            uri = SipUri(host=host, port=port, parameters=reach)
        return f"<{uri}>;{siprec.FEATURE}" if recording else f"<{uri}>"
