"""One media line and its attributes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum

from voice_verify.telephony.sip.errors import BadSdp
from voice_verify.telephony.sip.sdp.crypto import Crypto

Attributes = list[tuple[str, "str | None"]]

_MEDIA = re.compile(r"([A-Za-z0-9\-.!%*_+`'~]+) ([0-9]{1,5})(?:/([0-9]{1,3}))? ([A-Za-z0-9/\-]+)((?: \S+)+) ?")
_RTPMAP = re.compile(r"([0-9]{1,3})\s+([^\s/]+)/([0-9]{1,6})(?:/([0-9]{1,2}))?\s*")
_FMTP = re.compile(r"([0-9]{1,3})\s+(.*)", re.DOTALL)
_RTCP = re.compile(r"([0-9]{1,5})(?: IN IP[46] (\S+))?\s*")
_PAYLOAD_TYPES = 128


class Direction(StrEnum):
    """Which way media goes, as the side says that wrote the description."""

    sendrecv = "sendrecv"
    sendonly = "sendonly"
    recvonly = "recvonly"
    inactive = "inactive"


_DIRECTIONS = {direction.value: direction for direction in Direction}


@dataclass(frozen=True)
class RtpMap:
    """What a payload type stands for."""

    name: str
    rate: int
    channels: int = 1


# RFC 3551 table 4, and G.722 with the rate that it has there by mistake.
_STATIC = {
    0: RtpMap("PCMU", 8000),
    3: RtpMap("GSM", 8000),
    4: RtpMap("G723", 8000),
    8: RtpMap("PCMA", 8000),
    9: RtpMap("G722", 8000),
    10: RtpMap("L16", 44100, 2),
    11: RtpMap("L16", 44100),
    13: RtpMap("CN", 8000),
    15: RtpMap("G728", 8000),
    18: RtpMap("G729", 8000),
}


def find_direction(attributes: Attributes) -> Direction | None:
    """The direction that stands among these attributes."""
    return next((_DIRECTIONS[name] for name, _ in attributes if name in _DIRECTIONS), None)


@dataclass
class Media:
    """A media line. Attributes that are malformed are as if they were not there."""

    kind: str
    port: int
    protocol: str
    formats: list[str]
    attributes: Attributes = field(default_factory=list)
    ports: int = 1
    # Of its own `c=` line.
    address: str | None = None
    # Of the session, for a line that does not say its own.
    session_direction: Direction = Direction.sendrecv

    @classmethod
    def parse(cls, value: str) -> Media:
        """The line without `m=`; raises BadSdp. RTP has numbers below 128 as formats."""
        match = _MEDIA.fullmatch(value)
        if not match or int(match[2]) > 65_535:
            raise BadSdp("a media line is malformed")
        formats = match[5].split()
        if match[4].startswith("RTP/") and not all(_is_payload_type(name) for name in formats):
            raise BadSdp("a format of RTP is no payload type")
        return cls(match[1], int(match[2]), match[4], formats, ports=int(match[3] or 1))

    def attribute(self, name: str) -> str | None:
        """The value of the first attribute of that name; None without one, and for one without a value."""
        return next((value for known, value in self.attributes if known == name), None)

    def _all(self, name: str) -> list[str]:
        return [value for known, value in self.attributes if known == name and value is not None]

    @property
    def direction(self) -> Direction:
        """Of the line, else of the session, else both ways."""
        return find_direction(self.attributes) or self.session_direction

    @property
    def rtpmaps(self) -> dict[int, RtpMap]:
        """What its formats stand for, those that need no attribute too."""
        maps = {int(name): _STATIC[int(name)] for name in self.formats if name.isdecimal() and int(name) in _STATIC}
        for value in self._all("rtpmap"):
            match = _RTPMAP.fullmatch(value)
            if match and match[1] in self.formats:
                maps[int(match[1])] = RtpMap(match[2], int(match[3]), int(match[4] or 1))
        return maps

    @property
    def fmtp(self) -> dict[int, str]:
        """Parameters of the formats."""
        return {int(match[1]): match[2] for match in map(_FMTP.fullmatch, self._all("fmtp")) if match}

    @property
    def rtcp(self) -> tuple[int, str | None] | None:
        """Port and address for RTCP (RFC 3605), when they are not those of RTP and one more."""
        match = _RTCP.fullmatch(self.attribute("rtcp") or "")
        return (int(match[1]), match[2]) if match and int(match[1]) < 65_536 else None

    @property
    def rtcp_mux(self) -> bool:
        """Whether RTCP comes to the port of RTP (RFC 5761)."""
        return any(name == "rtcp-mux" for name, _ in self.attributes)

    @property
    def crypto(self) -> list[Crypto]:
        """Keys that are offered, the best first."""
        found = []
        for value in self._all("crypto"):
            try:
                found.append(Crypto.parse(value))
            except BadSdp:
                continue
        return found

    @property
    def label(self) -> str | None:
        """The name by which metadata of a recording speaks of it (RFC 4574)."""
        return self.attribute("label")


def _is_payload_type(name: str) -> bool:
    return name.isascii() and name.isdecimal() and len(name) <= 3 and int(name) < _PAYLOAD_TYPES
