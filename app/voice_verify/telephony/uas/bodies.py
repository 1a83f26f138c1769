"""What a message carries: a session description, recording metadata, both in one multipart, or nothing."""

from __future__ import annotations

from dataclasses import dataclass

from voice_verify.telephony.sip import BadMultipart, BadSdp, Request, Response
from voice_verify.telephony.sip.multipart import parts_of
from voice_verify.telephony.sip.sdp import Session
from voice_verify.telephony.uas import metadata, refusals

SDP = "application/sdp"


@dataclass(frozen=True)
class Content:
    """None for what is not there."""

    session: Session | None = None
    metadata: metadata.Document | None = None


def read(message: Request | Response) -> Content:
    """Raises Refusal: 400 for what cannot be read, 415 for a body that is nothing to us.

    Beside what we know a multipart may have parts for others.
    """
    if not message.body:
        return Content()
    if (message.headers.get("Content-Encoding") or "identity").lower() != "identity":
        raise refusals.media_type()
    try:
        parts = parts_of(message)
    except BadMultipart as error:
        raise refusals.bad_request("bad_body", f"the multipart body cannot be read: {error}") from error
    descriptions = [part.body for part in parts if part.content_type == SDP]
    documents = [part.body for part in parts if part.content_type in metadata.CONTENT_TYPES]
    if not descriptions and not documents:
        raise refusals.media_type()
    try:
        return Content(
            Session.parse(descriptions[0]) if descriptions else None,
            metadata.read(documents[0]) if documents else None,
        )
    except BadSdp as error:
        raise refusals.bad_request("bad_sdp", f"the session description cannot be read: {error}") from error
    except metadata.BadMetadata as error:
        raise refusals.bad_request("bad_metadata", str(error)) from error
