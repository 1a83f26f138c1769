"""How a refusal of the service is said in SIP: the one table of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from voice_verify.errors import VoiceVerifyError
from voice_verify.telephony.agent import Refused


class Answer(NamedTuple):
    """A status line of RFC 3261, section 21."""

    status: int
    reason: str


_BUSY = Answer(486, "Busy Here")
_FORBIDDEN = Answer(403, "Forbidden")
_UNAVAILABLE = Answer(503, "Service Unavailable")
_FAILED = Answer(500, "Server Internal Error")

# A 503 makes a proxy avoid the whole server (RFC 3261, section 21.5.4), also for requests of calls that run: it is
# right only where no call could be served. Being full is 486.
ANSWERS: Mapping[str, Answer] = {
    "too_many_streams": _BUSY,
    "licence_exceeded": _BUSY,
    "overloaded": _BUSY,
    "licence_expired": _FORBIDDEN,
    "feature_not_licensed": _FORBIDDEN,
    "stream_in_use": Answer(400, "Bad Request"),
    "unsupported_codec": Answer(488, "Not Acceptable Here"),
    "unsupported_rate": Answer(488, "Not Acceptable Here"),
    "unavailable": _UNAVAILABLE,
    "maintenance_mode": _UNAVAILABLE,
    "engine_unavailable": _UNAVAILABLE,
    "database_unavailable": _UNAVAILABLE,
}
# May stand in an answer with Retry-After: RFC 3261, section 20.33.
_RETRY = frozenset({486, 500, 503})


def refused(error: VoiceVerifyError) -> Refused:
    """The answer to an INVITE for which the service has no stream; what the table does not know is our own failure."""
    answer = ANSWERS.get(error.code, _FAILED)
    retry_after_s = error.retry_after_s if answer.status in _RETRY else None
    return Refused(error.code, answer.status, answer.reason, error.detail, retry_after_s)
