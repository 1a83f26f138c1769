"""What the answer to a REGISTER says about time: RFC 3261, sections 10.2.4, 10.3 and 20.33."""

from __future__ import annotations

import re
from contextlib import suppress

from voice_verify.telephony.sip import NameAddress, Response, SipError

# RFC 3261, section 25.1: delta-seconds, and the seconds of a Retry-After before its comment and parameters.
_SECONDS = re.compile(r"\s*(\d{1,10})(?:\s*[(;].*)?\s*", re.DOTALL)


def seconds(value: str | None) -> int | None:
    """A number of seconds; None when there is none that can be read."""
    match = _SECONDS.fullmatch(value or "")
    return int(match[1]) if match else None


def granted(response: Response, line: str, asked: int) -> int:
    """For how many seconds the binding of the Contact with our `line` holds; never more than `asked`.

    A registrar that writes our Contact anew (NAT) is believed, too: then its shortest time counts.
    """
    general = seconds(response.headers.get("Expires"))
    contacts = _contacts(response)
    ours = [contact for contact in contacts if f"line={line}" in contact.uri.lower().split(";")]
    times = [seconds(contact.parameters.get("expires")) for contact in ours or contacts]
    known = [general if time is None else time for time in times] or [general]
    return min(asked if time is None else time for time in [*known, asked])


def _contacts(response: Response) -> list[NameAddress]:
    """Those that can be read: a 200 stays a 200, whatever other users of the registrar call themselves."""
    found: list[NameAddress] = []
    for value in response.headers.items("Contact"):
        with suppress(SipError):
            found.append(NameAddress.parse(value))
    return found
