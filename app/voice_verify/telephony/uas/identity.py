"""The uuid that a caller gives to a stream: X-Stream-UUID, X-UUID or User-to-User (RFC 7433)."""

from __future__ import annotations

import base64
import binascii
import re
from uuid import UUID, uuid5

# In this order: the first that holds a uuid counts.
HEADERS = ("X-Stream-UUID", "X-UUID", "User-to-User")

_UUID = re.compile(r"^(urn:uuid:)?\{?([0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12})\}?$", re.IGNORECASE)
_HEX = re.compile(r"^([0-9a-f]{2}){16,64}$", re.IGNORECASE)
# Protocol discriminators that gateways to ISDN put before the user's octets (RFC 7433, section 6): 0 and 4.
_DISCRIMINATORS = (0, 4)


def read(value: str) -> UUID | None:
    """The uuid in the value of a header, however it is written; None when there is none."""
    text = value.split(";", 1)[0].strip().strip('"').strip()
    written = _UUID.match(text)
    if written is not None:
        return UUID(written[2])
    if _HEX.match(text) is None:
        return None
    octets = bytes.fromhex(text)
    if octets[0] in _DISCRIMINATORS and len(octets) != len(UUID(int=0).bytes):
        octets = octets[1:]
    if len(octets) == len(UUID(int=0).bytes):
        return UUID(bytes=octets)
    written = _UUID.match(octets.decode("latin-1"))
    return UUID(written[2]) if written else None


def read_id(value: str) -> UUID | None:
    """The uuid of an identifier of recording metadata: base64 of its 16 octets (RFC 7865, section 6.10), or text."""
    try:
        octets = base64.b64decode(value.strip(), validate=True)
    except (binascii.Error, ValueError):
        return read(value)
    return UUID(bytes=octets) if len(octets) == len(UUID(int=0).bytes) else read(value)


def of_label(call: UUID, label: str) -> UUID:
    """The uuid of one of several streams of a call: the same for everybody who knows the call's uuid and the label."""
    return uuid5(call, label)
