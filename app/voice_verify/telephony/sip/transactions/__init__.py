"""Transactions of both sides (RFC 3261 section 17, RFC 6026): retransmissions, timers, matching. No sockets here."""

from __future__ import annotations

from voice_verify.telephony.sip.transactions.client import ClientTransaction
from voice_verify.telephony.sip.transactions.server import ServerTransaction, State

__all__ = ["ClientTransaction", "ServerTransaction", "State"]
