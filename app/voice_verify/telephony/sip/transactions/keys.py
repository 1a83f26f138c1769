"""How messages find their transaction (RFC 3261 sections 17.1.3 and 17.2.3)."""

from __future__ import annotations

from voice_verify.telephony.sip.message import Request

Key = tuple[object, ...]


def server_key(request: Request, source: str, method: str | None = None) -> Key:
    """The transaction of a request from that address.

    An ACK has that of its INVITE; `method` asks for another one, as a CANCEL does. The address is part of the key, so
    that nobody else can cancel a call whose branch he guesses.
    """
    method = method or request.method
    method = "INVITE" if method == "ACK" else method
    via = request.vias[0]
    sent_by = (source, via.host.lower(), via.port)
    if via.branch:
        return (*sent_by, via.branch, method)
    # RFC 2543: the request itself is its name. The tag of To is left out, an ACK brings ours.
    old_branch = via.parameters.get("branch")
    return (*sent_by, old_branch, method, request.uri, request.call_id, request.cseq.number, request.from_tag)


def merge_key(request: Request) -> Key:
    """What requests that came by two ways have in common (section 8.2.2.2)."""
    return (request.call_id, request.cseq.number, request.method, request.from_tag)
