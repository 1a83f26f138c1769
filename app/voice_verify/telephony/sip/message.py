"""Requests and responses, and how a response is made of a request (RFC 3261 sections 7 and 8.2.6)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from voice_verify.telephony.sip.errors import BadSyntax
from voice_verify.telephony.sip.fields import CSeq, Via, media_type
from voice_verify.telephony.sip.headers import Headers
from voice_verify.telephony.sip.reasons import REASONS
from voice_verify.telephony.sip.uri import NameAddress


@dataclass
class _Fields:
    """What requests and responses have in common.

    The parser has looked at every value that the properties read: they raise BadSyntax only on a message that was
    built here without them.
    """

    headers: Headers = field(default_factory=Headers)
    body: bytes = b""

    def _required(self, name: str) -> str:
        value = self.headers.get(name)
        if value is None:
            raise BadSyntax(f"{name} is missing")
        return value

    @property
    def call_id(self) -> str:
        """The call, the same in both directions."""
        return self._required("Call-ID")

    @property
    def cseq(self) -> CSeq:
        """Number and method."""
        return CSeq.parse(self._required("CSeq"))

    @property
    def from_(self) -> NameAddress:
        """Who sent the request."""
        return NameAddress.parse(self._required("From"))

    @property
    def to(self) -> NameAddress:
        """Whom the request is for."""
        return NameAddress.parse(self._required("To"))

    @property
    def from_tag(self) -> str | None:
        """The tag of the side that sent the request; None with peers of RFC 2543."""
        return self.from_.tag

    @property
    def to_tag(self) -> str | None:
        """The tag of the other side; None outside a dialog."""
        return self.to.tag

    @property
    def vias(self) -> list[Via]:
        """The hops, the newest first."""
        return [Via.parse(value) for value in self.headers.items("Via")]

    @property
    def contact(self) -> NameAddress | None:
        """The first Contact; None without one, and for `*`. That of a response raises BadSyntax, if it is malformed."""
        first = next(iter(self.headers.items("Contact")), "*")
        return None if first == "*" else NameAddress.parse(first)

    @property
    def content_type(self) -> str:
        """The media type of the body in lower case, without parameters; empty without one."""
        value = self.headers.get("Content-Type")
        return "" if value is None else media_type(value)[0]

    def _encode(self, start: str) -> bytes:
        lines = [start]
        lines += [f"{name}: {value}" for name, value in self.headers if name.lower() != "content-length"]
        if any("\r" in line or "\n" in line for line in lines):
            # Of a user name in the settings, say: the rest of it would be a header field of its own.
            raise BadSyntax("a line end within a header field")
        lines += [f"Content-Length: {len(self.body)}", "", ""]
        return "\r\n".join(lines).encode("utf-8", "surrogateescape") + self.body


@dataclass
class Request(_Fields):
    """A request; `uri` is the Request-URI as it stands in the message."""

    method: str = field(kw_only=True)
    uri: str = field(kw_only=True)

    def encode(self) -> bytes:
        """The bytes for the wire, with the Content-Length of the body."""
        return self._encode(f"{self.method} {self.uri} SIP/2.0")


@dataclass
class Response(_Fields):
    """A response."""

    status: int = field(kw_only=True)
    reason: str = field(kw_only=True)

    def encode(self) -> bytes:
        """The bytes for the wire, with the Content-Length of the body."""
        return self._encode(f"SIP/2.0 {self.status} {self.reason}")


Message = Request | Response


def reply(
    request: Request,
    status: int,
    reason: str | None = None,
    *,
    to_tag: str | None = None,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    content_type: str | None = None,
) -> Response:
    """A response to the request (section 8.2.6), with the route that a dialog needs (section 12.1.1).

    The values of the request are copied as they stand, so that garbage can be answered too. `to_tag` is added unless
    To has a tag or the response is 100.
    """
    response = Response(status=status, reason=REASONS.get(status, "") if reason is None else reason, body=body)
    for name in ("Via", "From", "To", "Call-ID", "CSeq"):
        for value in request.headers.all(name):
            response.headers.add(name, value)
    if to_tag is not None and status != 100:
        _add_tag(response, to_tag)
    if status == 100:
        _copy(request, response, "Timestamp")
    elif status < 300 and request.method in {"INVITE", "SUBSCRIBE", "REFER", "NOTIFY"}:
        _copy(request, response, "Record-Route")
    for name, value in headers:
        response.headers.add(name, value)
    if content_type is not None:
        response.headers.set("Content-Type", content_type)
    return response


def _copy(request: Request, response: Response, name: str) -> None:
    for value in request.headers.all(name):
        response.headers.add(name, value)


def _add_tag(response: Response, tag: str) -> None:
    try:
        to = response.to
    except BadSyntax:
        return
    if to.tag is None:
        response.headers.set("To", f"{response.headers.get('To')};tag={tag}")
