"""Sockets: UDP, TCP and TLS, both ways, with limits."""

from __future__ import annotations

from voice_verify.telephony.sip.transport.flow import Endpoint, Flow, Transport
from voice_verify.telephony.sip.transport.limits import Limits
from voice_verify.telephony.sip.transport.transports import Transports

__all__ = ["Endpoint", "Flow", "Limits", "Transport", "Transports"]
