"""SIPREC (RFC 7866): a recording session, and which of its lines is whose stream."""

from __future__ import annotations

from uuid import UUID

from voice_verify.telephony.sip import Request, SipError
from voice_verify.telephony.uas import identity
from voice_verify.telephony.uas.metadata import Document, Metadata, Participant

FEATURE = "+sip.srs"
_THEIR_FEATURE = "+sip.src"
_EXTENSION = "siprec"


def is_recording(request: Request, document: Document | None) -> bool:
    """Whether an INVITE comes from a recording client: it says so in Require or Contact, or brings metadata."""
    required = [name.lower() for name in request.headers.items("Require")]
    contact = request.contact
    return (
        _EXTENSION in required or document is not None or (contact is not None and _THEIR_FEATURE in contact.parameters)
    )


def asked_uuid(request: Request) -> UUID | None:
    """The uuid that the caller gives to the call."""
    for header in identity.HEADERS:
        try:
            values = request.headers.items(header)
        except SipError:
            # Others write there what they want.
            continue
        found = next(filter(None, map(identity.read, values)), None)
        if found is not None:
            return found
    return None


def stream_uuid(call: UUID | None, label: str, known: Metadata, *, alone: bool) -> UUID | None:
    """The uuid of the stream on the line with that label; None to have one made.

    The caller's own for the only line of a call, one derived from it (`identity.of_label`) for each of several, and
    without one the stream's id of the metadata, which is a uuid by RFC 7865.
    """
    if call is not None:
        return call if alone else identity.of_label(call, label)
    stream = known.stream_id(label)
    return None if stream is None else identity.read_id(stream)


def name_of(participant: Participant | None) -> str | None:
    """What a person would call the participant."""
    return None if participant is None else participant.name or participant.aor or None
