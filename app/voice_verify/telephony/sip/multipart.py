"""Bodies of several parts (RFC 2046 section 5.1, RFC 5621)."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from voice_verify.telephony.sip.errors import BadMultipart, BadSyntax
from voice_verify.telephony.sip.fields import TOKEN, media_type
from voice_verify.telephony.sip.headers import Headers
from voice_verify.telephony.sip.message import Message

# A recording session has two: the description and the metadata.
_PARTS = 32
_DEPTH = 4
# RFC 2046 allows these in a boundary, and no space at its end.
_BOUNDARY = re.compile(r"[A-Za-z0-9'()+_,\-./:=? ]{0,69}[A-Za-z0-9'()+_,\-./:=?]")
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")


@dataclass
class Part:
    """One part with its own header fields."""

    headers: Headers = field(default_factory=Headers)
    body: bytes = b""

    @property
    def content_type(self) -> str:
        """In lower case, without parameters."""
        return media_type(self.headers.get("Content-Type") or "text/plain")[0]


def parts_of(message: Message) -> list[Part]:
    """The parts of a body; one that is not multipart is one part, and nothing is none. Raises BadMultipart."""
    if not message.body:
        return []
    content_type = message.headers.get("Content-Type") or ""
    if message.content_type.startswith("multipart/"):
        return parse(content_type, message.body)
    headers = Headers((name, value) for name, value in message.headers if name.lower().startswith("content-"))
    return [Part(headers, message.body)]


def parse(content_type: str, body: bytes) -> list[Part]:
    """The parts, those of nested multiparts in their place; raises BadMultipart."""
    parts: list[Part] = []
    _parse(content_type, body, parts, _DEPTH)
    return parts


def _parse(content_type: str, body: bytes, parts: list[Part], depth: int) -> None:
    for content in _contents(_boundary(content_type), body):
        part = _part(content)
        if not part.content_type.startswith("multipart/"):
            parts.append(part)
        elif depth > 1:
            _parse(part.headers.get("Content-Type") or "", part.body, parts, depth - 1)
        else:
            raise BadMultipart("parts within parts within parts")
        if len(parts) > _PARTS:
            raise BadMultipart("too many parts")


def _boundary(content_type: str) -> str:
    try:
        boundary = media_type(content_type)[1].get("boundary") or ""
    except BadSyntax as error:
        raise BadMultipart(str(error)) from error
    if not _BOUNDARY.fullmatch(boundary):
        raise BadMultipart("the boundary is missing or malformed")
    return boundary


def _contents(boundary: str, body: bytes) -> list[bytes]:
    """What stands between the delimiters; what is before the first and after the last one is for nobody."""
    delimiter = re.compile(rb"(?:\A|\r?\n)--" + re.escape(boundary.encode()) + rb"(--)?[ \t]*(?=\r?\n|\Z)")
    contents: list[bytes] = []
    start: int | None = None
    for match in delimiter.finditer(body):
        if start is not None:
            contents.append(body[start : match.start()])
            if len(contents) > _PARTS:
                raise BadMultipart("too many parts")
        if match[1]:
            if start is None:
                break
            return contents
        start = match.end()
    raise BadMultipart("the parts do not end" if start is not None else "there is no part")


def _part(content: bytes) -> Part:
    """A part behind the line end of its delimiter's line."""
    blank = _BLANK_LINE.search(content)
    if not blank:
        raise BadMultipart("a part has no blank line after its header fields")
    headers = Headers()
    lines = content[: blank.start()].decode("utf-8", "surrogateescape").replace("\r\n", "\n")
    for line in re.sub(r"\n[ \t]+", " ", lines).split("\n"):
        if not line.strip():
            continue
        name, colon, value = line.partition(":")
        if not colon or not TOKEN.fullmatch(name.strip()) or "\r" in value:
            raise BadMultipart("a header field of a part is malformed")
        headers.add(name.strip(), value.strip())
    part = Part(headers, content[blank.end() :])
    try:
        _ = part.content_type
    except BadSyntax as error:
        raise BadMultipart(str(error)) from error
    return part


def build(parts: Sequence[Part], subtype: str = "mixed") -> tuple[str, bytes]:
    """The Content-Type and the body."""
    boundary = secrets.token_hex(12)
    body = b""
    for part in parts:
        lines = "".join(f"{name}: {value}\r\n" for name, value in part.headers)
        body += f"--{boundary}\r\n{lines}\r\n".encode("utf-8", "surrogateescape") + part.body + b"\r\n"
    return f"multipart/{subtype};boundary={boundary}", body + f"--{boundary}--\r\n".encode()
