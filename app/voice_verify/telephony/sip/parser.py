"""From bytes to messages: strict, with limits; garbage ends in BadMessage and in nothing else (RFC 3261 section 7)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from voice_verify.telephony.sip.errors import BadMessage, BadSyntax
from voice_verify.telephony.sip.fields import TOKEN, number
from voice_verify.telephony.sip.headers import Headers, key_of
from voice_verify.telephony.sip.message import Message, Request, Response
from voice_verify.telephony.sip.uri import NameAddress, check_uri

# A datagram cannot be longer; on connections the same holds, so that it does not matter which way a message takes.
MESSAGE_BYTES = 65_535
# The largest head of the torture messages has 3.5 kB; SIPREC sends its metadata in the body.
HEAD_BYTES = 16_384
HEADER_LINES = 128
# Of Via, Contact, Route, Record-Route, and names of extensions and methods: more hops than any network has.
LIST_ITEMS = 64

_REQUEST = re.compile(rf"({TOKEN.pattern}) (\S+) SIP/2\.0", re.IGNORECASE | re.ASCII)
_OTHER_VERSION = re.compile(rf"({TOKEN.pattern}) (\S+) SIP/[0-9]+\.[0-9]+", re.IGNORECASE | re.ASCII)
_STATUS = re.compile(r"SIP/2\.0 ([1-6][0-9]{2})(?: (.*))?", re.IGNORECASE | re.ASCII | re.DOTALL)
_NEEDED = ("via", "from", "to", "call-id", "cseq")
_SINGLE = (
    "from", "to", "call-id", "cseq", "max-forwards", "content-length", "content-type", "expires", "min-expires",
    "session-expires", "min-se",
)  # fmt: skip


@dataclass
class Head:
    """What stands before the body, as far as it was understood; `problem` is the first thing that was not."""

    message: Message
    problem: BadMessage | None = None

    def bad(self, status: int, reason: str) -> None:
        """Note what is wrong, unless something was before."""
        self.problem = self.problem or BadMessage(status, reason)


def parse(data: bytes) -> Message:
    """A message that came as a datagram: what follows the body is not looked at (section 18.3); raises BadMessage."""
    if len(data) > MESSAGE_BYTES:
        raise BadMessage(513, "Message Too Large")
    head_bytes, end, body = data.partition(b"\r\n\r\n")
    head = parse_head(head_bytes)
    if not end:
        head.bad(400, "The header fields do not end")
    length = content_length(head)
    if length is not None and length > len(body):
        head.bad(400, "The body is shorter than Content-Length")
    return finish(head, body if length is None else body[:length])


def parse_head(data: bytes) -> Head:
    """The start line and the header fields; raises BadMessage when not even a start line is there."""
    if len(data) > HEAD_BYTES:
        raise BadMessage(513, "The header fields are too long")
    start, *lines = data.decode("utf-8", "surrogateescape").split("\r\n")
    head = _start_line(start)
    if len(lines) > HEADER_LINES:
        raise BadMessage(513, "Too many header fields")
    for line in _unfold(head, lines):
        name, colon, value = line.partition(":")
        name = name.rstrip(" \t")
        if not colon or not TOKEN.fullmatch(name) or "\r" in value or "\n" in value:
            head.bad(400, "A header field is malformed")
        else:
            head.message.headers.add(name, value.strip(" \t"))
    return head


def _start_line(line: str) -> Head:
    if match := _REQUEST.fullmatch(line):
        return Head(Request(method=match[1], uri=match[2]))
    if match := _STATUS.fullmatch(line):
        if "\r" in line or "\n" in line:
            raise BadMessage(400, "The status line is malformed")
        return Head(Response(status=int(match[1]), reason=match[2] or ""))
    if match := _OTHER_VERSION.fullmatch(line):
        head = Head(Request(method=match[1], uri=match[2]))
        head.bad(505, "Version Not Supported")
        return head
    method, _, rest = line.partition(" ")
    if TOKEN.fullmatch(method) and rest.upper().rstrip().endswith("SIP/2.0") and method.upper() != "SIP":
        # Spaces too many, a URI in brackets: clear enough to be answered (RFC 4475 sections 3.1.2.7 to 3.1.2.10).
        head = Head(Request(method=method, uri=rest))
        head.bad(400, "The request line is malformed")
        return head
    raise BadMessage(400, "The start line is malformed")


def _unfold(head: Head, lines: list[str]) -> list[str]:
    """Lines that begin with space go on with the line before (section 7.3.1)."""
    unfolded: list[list[str]] = []
    for line in lines:
        if not line.startswith((" ", "\t")):
            unfolded.append([line])
        elif unfolded:
            unfolded[-1].append(line.strip(" \t"))
        else:
            head.bad(400, "The first header field is none")
    return [" ".join(parts) for parts in unfolded if parts != [""]]


def content_length(head: Head) -> int | None:
    """Bytes of the body; None without Content-Length, or when it is wrong, which is noted."""
    values = head.message.headers.all("Content-Length")
    if not values:
        return None
    try:
        length = number(values[0], MESSAGE_BYTES)
    except BadSyntax:
        head.bad(400, "Content-Length is no number, or too large")
        return None
    if len(values) > 1:
        head.bad(400, "Content-Length stands more than once")
        return None
    return length


def finish(head: Head, body: bytes) -> Message:
    """The message with its body after everything in it was checked; raises BadMessage."""
    message = head.message
    message.body = body
    if head.problem is None:
        try:
            _check(message)
        except BadSyntax as error:
            head.bad(400, f"Bad Request: {error}")
    if head.problem is None:
        return message
    status, reason = head.problem.status, head.problem.reason
    raise BadMessage(status, reason, message if isinstance(message, Request) and _answerable(message) else None)


def _check(message: Message) -> None:
    """Raise BadSyntax unless every property of the message can be read."""
    headers = message.headers
    counts: dict[str, int] = {}
    for name, _ in headers:
        key = key_of(name)
        counts[key] = counts.get(key, 0) + 1
    for name in _NEEDED:
        if not headers.get(name):
            raise BadSyntax(f"{name} is missing")
    for name in _SINGLE:
        if counts.get(name, 0) > 1:
            raise BadSyntax(f"{name} stands more than once")
    for name in ("Via", "Contact", "Route", "Record-Route", "Require", "Supported", "Allow"):
        if len(headers.items(name)) > LIST_ITEMS:
            raise BadSyntax(f"{name} has too many values")
    _ = message.vias, message.from_, message.to, message.content_type
    if not message.vias:
        raise BadSyntax("via is missing")
    if len(message.call_id.split()) != 1:
        raise BadSyntax("Call-ID is not one word")
    cseq = message.cseq
    if isinstance(message, Request):
        if cseq.method != message.method:
            raise BadSyntax("CSeq names another method")
        _check_request_uri(message.uri)
        _check_addresses(headers)
    number(headers.get("Max-Forwards") or "0", 256)


def _check_request_uri(uri: str) -> None:
    """A Request-URI has no headers (RFC 3261 section 19.1.1, table 1)."""
    check_uri(uri)
    if uri.lower().startswith(("sip:", "sips:")) and "?" in uri.rpartition("@")[2]:
        raise BadSyntax("the Request-URI has headers")


def _check_addresses(headers: Headers) -> None:
    """Of requests alone: a registrar tells us the Contacts of others, too, and they are not his fault."""
    for name in ("Contact", "Route", "Record-Route"):
        for item in headers.items(name):
            if item != "*" or name != "Contact":
                NameAddress.parse(item)


def _answerable(request: Request) -> bool:
    """Whether a response would have what every response has, whatever that is worth."""
    return request.method != "ACK" and all(request.headers.get(name) for name in _NEEDED)
