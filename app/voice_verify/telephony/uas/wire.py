"""How requests of ours get out in a dialog."""

from __future__ import annotations

import logging

from voice_verify._generated import SIP_PORT
from voice_verify.telephony.sip import (
    Endpoint,
    Flow,
    Request,
    Response,
    Sip,
    SipError,
    SipUri,
    Transport,
    TransportFailed,
    Transports,
)
from voice_verify.telephony.uas.source import address

log = logging.getLogger(__name__)


class Wire:
    """Requests go to where the peer's came from.

    Hosts of Contact and Route are not believed beyond that: who sends them could make us send to anybody.
    """

    def __init__(self, sip: Sip, transports: Transports) -> None:
        self._sip = sip
        self._transports = transports

    async def request(self, request: Request, flow: Flow, next_hop: str) -> Response:
        """The final answer; raises SipError."""
        return await self._sip.request(request, await self._way(flow, next_hop))

    async def ack(self, ack: Request, flow: Flow, next_hop: str, answers: Response) -> None:
        """Acknowledge a 2xx; never fails, as it comes again when the ACK gets lost."""
        try:
            self._sip.send_ack(ack, await self._way(flow, next_hop), answers=answers)
        except TransportFailed as error:
            log.info("an ACK could not be sent: %s", error.message)

    async def _way(self, flow: Flow, next_hop: str) -> Flow:
        """The port that the peer names, if the host is his own; else where he sent from. Raises TransportFailed."""
        if (flow.reliable and not flow.closed) or flow.transport is Transport.TLS:
            # Nobody's certificate is for the address alone, so a TLS connection that is gone stays gone.
            return flow
        try:
            uri = SipUri.parse(next_hop)
        except SipError:
            return flow
        host = address(uri.host)
        if host is None or host != address(flow.remote.host):
            return flow
        there = Endpoint(flow.transport, flow.remote.host, uri.port or SIP_PORT)
        return flow if there == flow.remote and not flow.closed else await self._transports.connect(there)
