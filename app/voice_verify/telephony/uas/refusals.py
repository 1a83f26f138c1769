"""What the user agent refuses, and how it says so. docs/calls.md explains each of these."""

from __future__ import annotations

from voice_verify.telephony.agent import Refused

# Who warns (RFC 3261, section 20.43): a name is enough, an address may be one that the peer cannot know.
_AGENT = "voice-verify"

METHODS = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "UPDATE", "INFO")
# Known, and never served: 405. What nobody has heard of is 501 (RFC 3261, section 21.5.2).
_KNOWN = frozenset({"REGISTER", "PRACK", "SUBSCRIBE", "NOTIFY", "PUBLISH", "MESSAGE", "REFER"})
EXTENSIONS = ("timer", "siprec")

# What anybody can be told, under any address that he forges: nothing is kept of it, and nothing said twice (RFC 3261,
# section 26.3.2.4).
FLOODS = frozenset(
    {
        "forbidden_peer",
        "too_many_failures",
        "too_many_calls",
        "unauthorized",
        "method",
        "uri_scheme",
        "extension",
        "no_dialog",
    }
)

ALLOW = ("Allow", ", ".join(METHODS))
SUPPORTED = ("Supported", ", ".join(EXTENSIONS))
ACCEPT = ("Accept", "application/sdp, multipart/mixed, application/rs-metadata+xml")


class Refusal(Exception):
    """A request is answered with `status`, and nothing else happens. `kind`: our word for it, for the counter."""

    def __init__(self, status: int, reason: str, kind: str, *headers: tuple[str, str]) -> None:
        super().__init__(f"{status} {reason} ({kind})")
        self.status = status
        self.reason = reason
        self.kind = kind
        self.headers = headers


def warning(code: int, text: str) -> tuple[str, str]:
    """A Warning for people and logs; `code` is one of RFC 3261, section 20.43."""
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return "Warning", f'{code} {_AGENT} "{quoted}"'


def cause(status: int, text: str) -> tuple[str, str]:
    """Why a call ends or is refused, for programs (RFC 3326)."""
    return "Reason", f'SIP;cause={status};text="{text}"'


def by_service(refused: Refused) -> Refusal:
    """As the service said it: telephony/refusals.py has the table."""
    headers = [cause(refused.status, refused.code), warning(399, refused.text)]
    if refused.retry_after_s is not None:
        headers.append(("Retry-After", str(refused.retry_after_s)))
    return Refusal(refused.status, refused.reason, refused.code, *headers)


def method(name: str) -> Refusal:
    if name in _KNOWN:
        return Refusal(405, "Method Not Allowed", "method", ALLOW)
    return Refusal(501, "Not Implemented", "method", ALLOW)


def scheme() -> Refusal:
    return Refusal(416, "Unsupported URI Scheme", "uri_scheme")


def no_dialog() -> Refusal:
    return Refusal(481, "Call/Transaction Does Not Exist", "no_dialog")


def extension(unknown: list[str]) -> Refusal:
    return Refusal(420, "Bad Extension", "extension", ("Unsupported", ", ".join(unknown)))


def replaces() -> Refusal:
    """No dialog of ours is ever replaced (RFC 3891, section 3: as if none matched)."""
    return Refusal(481, "Call/Transaction Does Not Exist", "replaces", warning(399, "calls cannot be replaced here"))


def forbidden_peer() -> Refusal:
    return Refusal(403, "Forbidden", "forbidden_peer", warning(399, "this address may not call"))


def too_many_failures() -> Refusal:
    """No challenge goes with it, so nobody goes on guessing; 403 says not to try again (RFC 3261, section 21.4.4)."""
    return Refusal(403, "Forbidden", "too_many_failures", warning(399, "too many wrong passwords from this address"))


def too_many_calls() -> Refusal:
    """480 and not 503: proxies leave a server alone that says 503, for all callers (RFC 3261, section 21.5.4)."""
    text = "too many new calls from this address"
    return Refusal(480, "Temporarily Unavailable", "too_many_calls", ("Retry-After", "5"), warning(399, text))


def no_ports() -> Refusal:
    """As full as at the cap of streams, so said in the same way."""
    headers = (cause(486, "no_ports"), warning(399, "all ports for audio are taken"), ("Retry-After", "5"))
    return Refusal(486, "Busy Here", "no_ports", *headers)


def bad_request(kind: str, text: str) -> Refusal:
    return Refusal(400, "Bad Request", kind, warning(399, text))


def media_type() -> Refusal:
    return Refusal(415, "Unsupported Media Type", "media_type", ACCEPT)


def not_acceptable(kind: str, code: int, text: str) -> Refusal:
    return Refusal(488, "Not Acceptable Here", kind, warning(code, text))


def too_brief(min_se_s: int) -> Refusal:
    return Refusal(422, "Session Interval Too Small", "session_interval", ("Min-SE", str(min_se_s)))


def out_of_order() -> Refusal:
    return Refusal(500, "Server Internal Error", "cseq_order", warning(399, "CSeq is not higher than before"))


def pending() -> Refusal:
    """Another offer of ours is open: glare (RFC 3261, section 14.2; RFC 3311, section 5.2)."""
    return Refusal(491, "Request Pending", "request_pending")


def still_working() -> Refusal:
    """The peer's own last offer is not answered yet (RFC 3261, section 14.2; RFC 3311, section 5.2)."""
    return Refusal(500, "Server Internal Error", "still_working", ("Retry-After", "2"))


def stopping() -> Refusal:
    """The one 503: nothing here can serve a call any more."""
    return Refusal(503, "Service Unavailable", "stopping", ("Retry-After", "5"))


def slow_service() -> Refusal:
    text = "the service did not answer in time"
    return Refusal(500, "Server Internal Error", "slow_service", ("Retry-After", "5"), warning(399, text))


def internal_error() -> Refusal:
    return Refusal(500, "Server Internal Error", "internal_error")
