"""Why a registration failed: a closed list of codes, and a sentence for who operates the PBX instance."""

from __future__ import annotations

from enum import StrEnum

from voice_verify.telephony.sip import FailureCode, TransportFailed

# Of what a PBX or a library says, so much is repeated.
_MAX_SAID = 120


class ErrorCode(StrEnum):
    """Stable, for programs; docs/pbx.md says what to do about each."""

    host_not_found = "host_not_found"
    unreachable = "unreachable"
    timeout = "timeout"
    tls = "tls"
    certificate = "certificate"
    connection_lost = "connection_lost"
    wrong_password = "wrong_password"  # noqa: S105 - a code
    unknown_user = "unknown_user"
    forbidden = "forbidden"
    refused = "refused"
    redirected = "redirected"
    interval_too_brief = "interval_too_brief"
    pbx_error = "pbx_error"
    bad_answer = "bad_answer"

    @property
    def needs_operator(self) -> bool:
        """Whether asking again soon is useless, and may get us blocked as somebody who guesses passwords."""
        return self in (ErrorCode.wrong_password, ErrorCode.unknown_user, ErrorCode.forbidden)


class Fault(Exception):
    """An attempt to register failed. `retry_after_s`: the PBX asked not to be asked again before."""

    def __init__(self, code: ErrorCode, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s


# What a failure of the transport is called here.
_CONNECTIONS = {
    FailureCode.HOST_NOT_FOUND: ErrorCode.host_not_found,
    FailureCode.REFUSED: ErrorCode.unreachable,
    FailureCode.TIMEOUT: ErrorCode.timeout,
    FailureCode.UNREACHABLE: ErrorCode.unreachable,
    FailureCode.CERTIFICATE_UNTRUSTED: ErrorCode.certificate,
    FailureCode.CERTIFICATE_EXPIRED: ErrorCode.certificate,
    FailureCode.CERTIFICATE_WRONG_NAME: ErrorCode.certificate,
    FailureCode.TLS: ErrorCode.tls,
    FailureCode.CLOSED: ErrorCode.connection_lost,
    FailureCode.SLOW_PEER: ErrorCode.connection_lost,
}

_UNKNOWN = (ErrorCode.unknown_user, "the PBX does not know this user")
_TROUBLE = (ErrorCode.pbx_error, "the PBX is in trouble")
_REFUSED = (ErrorCode.refused, "the PBX refuses the registration")
# What a final answer means: RFC 3261, section 21.
_STATUSES = {
    403: (ErrorCode.forbidden, "the PBX does not let this user register from here"),
    404: _UNKNOWN,
    408: (ErrorCode.timeout, "the PBX gave up"),
    410: _UNKNOWN,
    423: (ErrorCode.interval_too_brief, "the PBX demands a longer registration than we may give"),
    604: _UNKNOWN,
}
_CLASSES = {3: (ErrorCode.redirected, "the PBX sends us elsewhere, which is not followed"), 5: _TROUBLE, 6: _TROUBLE}


def printable(text: str) -> str:
    """Text of others as a part of a sentence, whatever they write there."""
    return "".join(character if character.isprintable() else " " for character in text[:_MAX_SAID]).strip()


def said(status: int, reason: str) -> str:
    """The status line of an answer."""
    return f"{status} {printable(reason)}".strip()


def of_status(status: int, reason: str, *, retry_after_s: float | None = None) -> Fault:
    """What a final answer means that is neither a success nor a challenge."""
    code, meaning = _STATUSES.get(status) or _CLASSES.get(status // 100) or _REFUSED
    return Fault(code, f"{meaning} ({said(status, reason)})", retry_after_s=retry_after_s)


def of_transport(failure: TransportFailed) -> Fault:
    """Why there is no connection to the PBX, or none any more."""
    return Fault(_CONNECTIONS[failure.code], printable(failure.message))
