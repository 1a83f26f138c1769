"""Our side of the session, as SDP (RFC 8866): one origin for the whole call, a new version with each change."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from voice_verify.telephony.sip.sdp import Crypto, Direction, Media, Origin, Session
from voice_verify.telephony.uas import offers
from voice_verify.telephony.uas.offers import Line

# As many as fit a signed 64-bit number, with room for versions.
_MAX_ID = 1 << 62

Attributes = list[tuple[str, str | None]]


@dataclass(frozen=True)
class Place:
    """Where a line's audio is expected: our port, and our key when it is encrypted."""

    port: int
    key: bytes | None = None


class Description:
    """`address` is the one that peers reach us at; `body` is what was said last, to be said again as it is."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._id = secrets.randbelow(_MAX_ID)
        self._version = 0
        self.media: list[Media] = []
        self.body = b""

    def answer(self, offer: Session, lines: Sequence[Line], places: Mapping[int, Place]) -> bytes:
        """To an offer of which we take `lines`: every other line is refused with port 0 (RFC 3264, section 6)."""
        taken = {line.index: line for line in lines}
        return self._say(
            [
                _accepted(media, taken[index], places[index]) if index in taken else _refused(media)
                for index, media in enumerate(offer.media)
            ]
        )

    def offer(self, place: Place) -> bytes:
        """The first offer of a call: one line with all that we decode."""
        formats, explained = offers.our_formats()
        attributes: Attributes = [*explained, (Direction.recvonly.value, None)]
        return self._say(
            [Media(kind="audio", port=place.port, protocol="RTP/AVP", formats=formats, attributes=attributes)]
        )

    def offer_again(self) -> bytes:
        """What we are ready for, when the peer leaves the offer to us in the call.

        Hold is his affair, and this is how he may end it (RFC 6337, section 5.3).
        """
        return self._say([_listening(media) for media in self.media])

    def drop(self, index: int) -> None:
        """Never offer that line again: its port goes to other calls."""
        self._say([_refused(media) if at == index else media for at, media in enumerate(self.media)])

    def _say(self, media: list[Media]) -> bytes:
        if media != self.media:
            self._version += 1
        self.media = media
        origin = Origin(user="-", session_id=self._id, version=self._version, address=self._address)
        self.body = Session(origin=origin, name="-", address=self._address, media=media).encode()
        return self.body


def _accepted(offered: Media, line: Line, place: Place) -> Media:
    attributes: Attributes = []
    for payload_type, codec in line.formats.items():
        channels = f"/{codec.channels}" if codec.channels > 1 else ""
        attributes.append(("rtpmap", f"{payload_type} {codec.name}/{codec.clock_rate}{channels}"))
        if codec.output is None:
            attributes.append(("fmtp", f"{payload_type} 0-15"))
    if line.crypto is not None and place.key is not None:
        own = Crypto(line.crypto.tag, line.crypto.suite, place.key, None, None, ())
        attributes.append(("crypto", str(own)))
    if line.rtcp_mux:
        attributes.append(("rtcp-mux", None))
    attributes.append((_answer_to(line.direction).value, None))
    formats = [str(payload_type) for payload_type in line.formats]
    return Media(kind=offered.kind, port=place.port, protocol=line.protocol, formats=formats, attributes=attributes)


def _answer_to(theirs: Direction) -> Direction:
    """We never send. Who sends nothing either leaves the line inactive (RFC 3264, section 6.1)."""
    return Direction.recvonly if theirs in (Direction.sendrecv, Direction.sendonly) else Direction.inactive


def _listening(media: Media) -> Media:
    held = (Direction.inactive.value, None)
    attributes: Attributes = [
        (Direction.recvonly.value, None) if attribute == held else attribute for attribute in media.attributes
    ]
    return replace(media, attributes=attributes)


def _refused(offered: Media) -> Media:
    return Media(kind=offered.kind, port=0, protocol=offered.protocol, formats=offered.formats, attributes=[])
