"""Why calls end: what the peer is told, what the service is told, what is counted."""

from __future__ import annotations

from dataclasses import dataclass

from voice_verify.telephony.agent import LegEnd
from voice_verify.telephony.uas import refusals


@dataclass(frozen=True)
class End:
    """`kind`: our word for it. `status`: for the Reason of our BYE (RFC 3326), None when the peer ended the call."""

    kind: str
    leg: LegEnd
    status: int | None = None
    text: str = ""

    @property
    def headers(self) -> list[tuple[str, str]]:
        """Of our BYE."""
        return [] if self.status is None else [refusals.cause(self.status, self.text or self.kind)]


BYE = End("bye", LegEnd.client_closed)
CANCELLED = End("cancelled", LegEnd.client_closed)
REFUSED = End("refused", LegEnd.error)
NO_ACK = End("no_ack", LegEnd.error, 408)
NO_MEDIA_AGREED = End("no_media_agreed", LegEnd.client_closed, 488)
MEDIA_TIMEOUT = End("media_timeout", LegEnd.media_timeout, 408)
SESSION_EXPIRED = End("session_expired", LegEnd.session_expired, 408)
SHUTDOWN = End("shutdown", LegEnd.error, 503)

# What the service says when it ends a stream, and the status that comes nearest; the text says the rest.
_BY_SERVICE = {"deleted": 200, "idle_timeout": 408, "silence_timeout": 408, "shutdown": 503, "maintenance": 503}


def by_service(reason: str) -> End:
    """The service has ended the stream, so the legs need not tell it."""
    word = reason if reason in _BY_SERVICE else "error"
    return End("service", LegEnd.client_closed, _BY_SERVICE.get(word, 500), word)
