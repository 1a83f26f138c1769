"""What can go wrong with a peer's messages, with connections and with transactions."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voice_verify.telephony.sip.message import Request


class SipError(Exception):
    """Base of everything that a peer or the network can cause here."""


class BadSyntax(SipError):
    """A part of a message (a header value, a parameter) is not what its grammar allows."""


class BadUri(BadSyntax):
    """No SIP URI, or no address with a URI."""


class BadSdp(BadSyntax):
    """No session description (RFC 8866)."""


class BadMultipart(BadSyntax):
    """A body that says that it has parts, and has not (RFC 2046 section 5.1)."""


class BadMessage(SipError):
    """A message that cannot be served.

    `status` and `reason` are for the answer; `request` is what was understood of the request, and None when it cannot
    be answered: it is a response or an ACK, or Via, From, To, Call-ID or CSeq are missing.
    """

    def __init__(self, status: int, reason: str, request: Request | None = None) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason
        self.request = request


class NoUsableChallenge(SipError):
    """An answer of 401 or 407 without a challenge that we can answer."""


class TransactionTimeout(SipError):
    """The peer did not answer a request within 64 times T1 (RFC 3261 timers B and F)."""


class FailureCode(StrEnum):
    """Why there is no connection, or no longer one."""

    HOST_NOT_FOUND = "host_not_found"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    CERTIFICATE_UNTRUSTED = "certificate_untrusted"
    CERTIFICATE_EXPIRED = "certificate_expired"
    CERTIFICATE_WRONG_NAME = "certificate_wrong_name"
    TLS = "tls"
    CLOSED = "closed"
    SLOW_PEER = "slow_peer"


class TransportFailed(SipError):
    """A connection could not be made, or a message not be sent; the operating system's error is the cause."""

    def __init__(self, code: FailureCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
