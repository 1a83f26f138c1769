"""A whole description."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from voice_verify.telephony.sip.errors import BadSdp
from voice_verify.telephony.sip.sdp.media import Attributes, Direction, Media, find_direction

# A SIPREC call has one line a participant; a description of a browser has three.
_MEDIA_LINES = 32
_ORIGIN = re.compile(r"(\S+) ([0-9]{1,20}) ([0-9]{1,20}) IN IP([46]) (\S+)\s*")
_CONNECTION = re.compile(r"IN IP[46] ([^\s/]+)(?:/[0-9/]+)?\s*")
_ATTRIBUTE = re.compile(r"([^\s:]+)(?::(.*)|\s*)", re.DOTALL)


@dataclass
class Origin:
    """Who made the description, and which version of it this is."""

    user: str
    session_id: int
    version: int
    address: str

    @classmethod
    def parse(cls, value: str) -> Origin:
        """The line without `o=`; raises BadSdp."""
        match = _ORIGIN.fullmatch(value)
        if not match:
            raise BadSdp("the origin is malformed")
        return cls(match[1], int(match[2]), int(match[3]), match[5])

    def __str__(self) -> str:
        return f"{self.user} {self.session_id} {self.version} {_network(self.address)}"


@dataclass
class Session:
    """A description; media lines keep their order, by which an answer is matched to an offer."""

    origin: Origin
    name: str = "-"
    # Of the `c=` line for all media.
    address: str | None = None
    media: list[Media] = field(default_factory=list)
    attributes: Attributes = field(default_factory=list)

    @property
    def direction(self) -> Direction:
        """For media that do not say their own."""
        return find_direction(self.attributes) or Direction.sendrecv

    @classmethod
    def parse(cls, body: bytes) -> Session:
        """Line ends may be LF alone; lines that say nothing to us are left out. Raises BadSdp."""
        lines = list(_lines(body))
        if not lines or lines[0] != ("v", "0"):
            raise BadSdp("not a description of version 0")
        origin = next((value for kind, value in lines if kind == "o"), None)
        if origin is None:
            raise BadSdp("the origin is missing")
        session = cls(Origin.parse(origin))
        media: Media | None = None
        for kind, value in lines:
            if kind == "m":
                media = Media.parse(value)
                media.session_direction = session.direction
                session.media.append(media)
                if len(session.media) > _MEDIA_LINES:
                    raise BadSdp("too many media lines")
            elif kind == "s":
                session.name = value
            elif kind in {"c", "a"}:
                _apply(kind, value, media or session)
        return session

    def encode(self) -> bytes:
        """The bytes for a body."""
        lines = ["v=0", f"o={self.origin}", f"s={self.name}"]
        if self.address is not None:
            lines.append(f"c={_network(self.address)}")
        lines += ["t=0 0", *_write(self.attributes)]
        for media in self.media:
            ports = f"/{media.ports}" if media.ports > 1 else ""
            lines.append(f"m={media.kind} {media.port}{ports} {media.protocol} {' '.join(media.formats)}")
            if media.address is not None:
                lines.append(f"c={_network(media.address)}")
            lines += _write(media.attributes)
        return "".join(f"{line}\r\n" for line in lines).encode("utf-8", "surrogateescape")


def _lines(body: bytes) -> Iterator[tuple[str, str]]:
    for line in body.decode("utf-8", "surrogateescape").split("\n"):
        text = line.removesuffix("\r")
        if not text:
            continue
        if len(text) < 2 or text[1] != "=" or "\r" in text or "\0" in text:
            raise BadSdp("a line is not a letter and a value")
        yield text[0], text[2:]


def _apply(kind: str, value: str, to: Session | Media) -> None:
    if kind == "c":
        match = _CONNECTION.fullmatch(value)
        if not match:
            raise BadSdp("an address is malformed")
        to.address = match[1]
    elif match := _ATTRIBUTE.fullmatch(value):
        to.attributes.append((match[1], match[2]))


def _network(address: str) -> str:
    return f"IN IP{6 if ':' in address else 4} {address}"


def _write(attributes: Attributes) -> list[str]:
    return [f"a={name}" if value is None else f"a={name}:{value}" for name, value in attributes]
