"""SIP as a user agent needs it: messages, transactions of both sides, UDP, TCP and TLS. Nothing of calls."""

from __future__ import annotations

from voice_verify.telephony.sip.clock import Clock
from voice_verify.telephony.sip.counters import Count
from voice_verify.telephony.sip.errors import (
    BadMessage,
    BadMultipart,
    BadSdp,
    BadSyntax,
    BadUri,
    FailureCode,
    NoUsableChallenge,
    SipError,
    TransactionTimeout,
    TransportFailed,
)
from voice_verify.telephony.sip.fields import CSeq, Via
from voice_verify.telephony.sip.headers import Headers
from voice_verify.telephony.sip.layer import Sip
from voice_verify.telephony.sip.message import Message, Request, Response, reply
from voice_verify.telephony.sip.parser import parse
from voice_verify.telephony.sip.transactions import ServerTransaction
from voice_verify.telephony.sip.transport import Endpoint, Flow, Limits, Transport, Transports
from voice_verify.telephony.sip.uri import NameAddress, SipUri

__all__ = [
    "BadMessage",
    "BadMultipart",
    "BadSdp",
    "BadSyntax",
    "BadUri",
    "CSeq",
    "Clock",
    "Count",
    "Endpoint",
    "FailureCode",
    "Flow",
    "Headers",
    "Limits",
    "Message",
    "NameAddress",
    "NoUsableChallenge",
    "Request",
    "Response",
    "ServerTransaction",
    "Sip",
    "SipError",
    "SipUri",
    "TransactionTimeout",
    "Transport",
    "TransportFailed",
    "Transports",
    "Via",
    "parse",
    "reply",
]
