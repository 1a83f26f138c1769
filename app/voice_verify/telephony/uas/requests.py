"""What every request is looked at for, before anything is done with it (RFC 3261, section 8.2)."""

from __future__ import annotations

from voice_verify.telephony.sip import Request
from voice_verify.telephony.uas import refusals, session_timer
from voice_verify.telephony.uas.session_timer import Answered

_SCHEMES = ("sip:", "sips:", "tel:")


def check(request: Request) -> None:
    """Raises Refusal for a method, a URI scheme or an extension that is not served."""
    if request.method not in refusals.METHODS:
        raise refusals.method(request.method)
    if not request.uri.lower().startswith(_SCHEMES):
        raise refusals.scheme()
    unknown = [name for name in _items(request, "Require") if name not in refusals.EXTENSIONS]
    if unknown:
        raise refusals.extension(unknown)


def takes_update(request: Request) -> bool:
    """Whether who sent this takes UPDATE."""
    return "UPDATE" in request.headers.items("Allow")


def timer_for(request: Request) -> Answered:
    """The session timer that we answer to an INVITE or UPDATE; raises Refusal (422 or 400)."""
    headers = request.headers
    supported = "timer" in _items(request, "Supported") or "timer" in _items(request, "Require")
    try:
        return session_timer.answer(headers.get("Session-Expires"), headers.get("Min-SE"), supported=supported)
    except session_timer.TooBrief as error:
        raise refusals.too_brief(session_timer.MIN_INTERVAL_S) from error
    except session_timer.BadTimer as error:
        raise refusals.bad_request("bad_timer", "Session-Expires or Min-SE cannot be read") from error


def _items(request: Request, header: str) -> list[str]:
    return [item.lower() for item in request.headers.items(header)]
