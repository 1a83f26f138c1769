"""Which media we take (RFC 3264): what stands in the peer's description, and what we say to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from voice_verify.telephony.rtp import SUITES, Codec, find_codec
from voice_verify.telephony.sip.sdp import Crypto, Direction, Media, Session
from voice_verify.telephony.uas import refusals
from voice_verify.telephony.uas.source import IpAddress, address

Address = tuple[str, int]

# More streams than that are no conversation of people.
MAX_STREAMS = 8

_PLAIN = ("RTP/AVP", "RTP/AVPF")
_SECURE = ("RTP/SAVP", "RTP/SAVPF")
# The engine hears 8 kHz: G.711 brings it that without work, so it is taken wherever it is offered.
_PREFERRED = ("PCMA", "PCMU")
# Master key and salt of both suites.
_KEY_BYTES = 30
# What is offered to a peer who leaves the offer to us, in this order, with payload types as phones have them.
_OURS = ((8, "PCMA", 8000, 1), (0, "PCMU", 8000, 1), (9, "G722", 8000, 1), (111, "opus", 48000, 2))
_OUR_EVENTS = 101


@dataclass(frozen=True)
class Line:
    """A media line that we take, at its place `index`.

    `formats`: payload types that may come, the first one is the codec of the answer. `remote`: where the peer says
    that he sends from, None when he does not say. `direction`: the peer's. `silent`: he says that he sends nothing,
    which is hold in one of its spellings.
    """

    index: int
    label: str | None
    protocol: str
    formats: Mapping[int, Codec]
    direction: Direction
    silent: bool
    remote: Address | None
    rtcp: Address | None
    rtcp_mux: bool
    crypto: Crypto | None

    @property
    def name(self) -> str:
        """Its label (RFC 4574), or its place where it has none."""
        return self.label or str(self.index + 1)

    @property
    def codec(self) -> Codec:
        return next(codec for codec in self.formats.values() if codec.output is not None)


@dataclass(frozen=True)
class _Unusable(Exception):
    """Why a line is refused: kind, warning code and text of the answer, if no other line is taken."""

    kind: str
    code: int
    text: str


def usable(offer: Session, *, secure: bool, several: bool) -> list[Line]:
    """The lines of an offer that we take: the first, or all when `several`; raises Refusal (488) when there is none.

    `secure`: keys may stand in the offer, so SRTP is taken.
    """
    lines: list[Line] = []
    why = _Unusable("no_audio", 304, "only audio is taken, and none is offered")
    for index, media in enumerate(offer.media):
        try:
            line = _line(offer, index, media, secure=secure)
        except _Unusable as unusable_line:
            why = unusable_line
            continue
        if line is not None:
            lines.append(line)
        if len(lines) == (MAX_STREAMS if several else 1):
            break
    if not lines:
        raise refusals.not_acceptable(why.kind, why.code, why.text)
    return lines


def agreed(own: Media, index: int, answer: Session) -> Line | None:
    """What the peer's answer makes of a line that we offered as `own`; None when he refused it."""
    media = answer.media[index] if index < len(answer.media) else None
    if media is None or media.port == 0:
        return None
    theirs = [_codec(media, name) for name in media.formats]
    formats = {int(name): codec for name in own.formats if (codec := _codec(own, name)) is not None and codec in theirs}
    if not any(codec.output for codec in formats.values()):
        return None
    crypto = next(filter(_understood, media.crypto), None) if media.protocol in _SECURE else None
    if (own.protocol in _SECURE) != (crypto is not None):
        return None
    return _with_address(answer, index, media, formats, crypto)


def our_formats() -> tuple[list[str], list[tuple[str, str | None]]]:
    """Formats of an offer of ours, and the attributes that explain them."""
    offered = [ours for ours in _OURS if find_codec(ours[1], ours[2], ours[3]) is not None]
    attributes: list[tuple[str, str | None]] = [
        ("rtpmap", f"{payload_type} {name}/{rate}" + (f"/{channels}" if channels > 1 else ""))
        for payload_type, name, rate, channels in offered
    ]
    attributes += [("rtpmap", f"{_OUR_EVENTS} telephone-event/8000"), ("fmtp", f"{_OUR_EVENTS} 0-15")]
    return [*(str(payload_type) for payload_type, *_ in offered), str(_OUR_EVENTS)], attributes


def _line(offer: Session, index: int, media: Media, *, secure: bool) -> Line | None:
    """The line if we can take it, None if it is switched off; raises _Unusable."""
    if media.kind != "audio":
        raise _Unusable("no_audio", 304, "only audio is taken, and none is offered")
    if media.port == 0:
        return None
    crypto = None
    if media.protocol in _SECURE:
        if not secure:
            raise _Unusable("srtp_without_tls", 302, "SRTP is taken over TLS only: elsewhere its keys can be read")
        crypto = next(filter(_understood, media.crypto), None)
        if crypto is None:
            raise _Unusable("srtp_suite", 302, f"of SRTP these suites are taken: {', '.join(SUITES)}")
    elif media.protocol not in _PLAIN:
        raise _Unusable("transport_protocol", 302, "audio is taken as RTP/AVP, and over TLS as RTP/SAVP")
    formats = _chosen(media)
    if not formats:
        raise _Unusable("no_codec", 305, "none of the codecs offered is decoded: offer PCMA or PCMU")
    return _with_address(offer, index, media, formats, crypto)


def _understood(crypto: Crypto) -> bool:
    usual = crypto.mki is None and not crypto.session_parameters
    return crypto.suite in SUITES and usual and len(crypto.key) == _KEY_BYTES


def _chosen(media: Media) -> dict[int, Codec]:
    """One codec, and the telephone-events that go with it; nothing when none can be decoded."""
    known = {int(name): codec for name in media.formats if (codec := _codec(media, name)) is not None}
    audio = {payload_type: codec for payload_type, codec in known.items() if codec.output is not None}
    if not audio:
        return {}
    first = next((at for at, codec in audio.items() if codec.name.upper() in _PREFERRED), next(iter(audio)))
    events = {
        payload_type: codec
        for payload_type, codec in known.items()
        if codec.name.lower() == "telephone-event" and codec.clock_rate == audio[first].clock_rate
    }
    return {first: audio[first], **events}


def _codec(media: Media, name: str) -> Codec | None:
    if not (name.isascii() and name.isdigit()):
        return None
    rtpmap = media.rtpmaps.get(int(name))
    return None if rtpmap is None else find_codec(rtpmap.name, rtpmap.rate, rtpmap.channels)


def _with_address(
    session: Session, index: int, media: Media, formats: Mapping[int, Codec], crypto: Crypto | None
) -> Line:
    host = address(media.address or session.address or "")
    nowhere = host is not None and host.is_unspecified
    rtcp = None
    if media.rtcp is not None:
        rtcp_port, rtcp_host = media.rtcp
        rtcp = _at(host if rtcp_host is None else address(rtcp_host), rtcp_port)
    return Line(
        index=index,
        label=media.label,
        protocol=media.protocol,
        formats=formats,
        direction=media.direction,
        silent=media.direction in (Direction.inactive, Direction.recvonly) or nowhere,
        remote=_at(host, media.port),
        rtcp=rtcp,
        rtcp_mux=media.rtcp_mux,
        crypto=crypto,
    )


def _at(host: IpAddress | None, port: int) -> Address | None:
    """None for a name, which we do not look up for a peer, for 0.0.0.0, where nothing comes from, and for no port."""
    return None if host is None or host.is_unspecified or not port else (str(host), port)
