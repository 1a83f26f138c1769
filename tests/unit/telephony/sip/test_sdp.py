"""Descriptions as real telephones write them, and what is refused."""

from __future__ import annotations

import pytest

from voice_verify.telephony.sip import BadSdp
from voice_verify.telephony.sip.sdp import Crypto, Direction, Media, Origin, RtpMap, Session

KEY = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
OFFER = f"""v=0
o=- 3747 2 IN IP4 192.0.2.3
s=A call
c=IN IP4 192.0.2.4
b=AS:84
t=0 0
a=sendonly
a=candidate:1 1 UDP 2130706431 192.0.2.4 4000 typ host
m=audio 49170/2 RTP/SAVP 0 8 9 101 96
c=IN IP6 2001:db8::4
a=rtpmap:96 opus/48000/2
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
a=fmtp:96 useinbandfec=1; stereo=0
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20|1:4 FEC_ORDER=FEC_SRTP
a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:nonsense!
a=rtcp:53020 IN IP4 192.0.2.5
a=rtcp-mux
a=ptime:20
a=label:1
a=recvonly
m=video 0 RTP/AVP 31
a=rtpmap:31 LPC
""".replace("\n", "\r\n").encode()


def test_reads_an_offer() -> None:
    session = Session.parse(OFFER)
    assert session.origin == Origin("-", 3747, 2, "192.0.2.3")
    assert (session.name, session.address, session.direction) == ("A call", "192.0.2.4", Direction.sendonly)
    audio, video = session.media
    assert (audio.kind, audio.port, audio.ports, audio.protocol) == ("audio", 49170, 2, "RTP/SAVP")
    assert audio.formats == ["0", "8", "9", "101", "96"]
    assert audio.address == "2001:db8::4"
    assert audio.rtpmaps == {
        0: RtpMap("PCMU", 8000),
        8: RtpMap("PCMA", 8000),
        9: RtpMap("G722", 8000),
        96: RtpMap("opus", 48000, 2),
        101: RtpMap("telephone-event", 8000),
    }
    assert audio.fmtp == {101: "0-16", 96: "useinbandfec=1; stereo=0"}
    assert audio.rtcp == (53020, "192.0.2.5")
    assert (audio.rtcp_mux, audio.label, audio.direction) == (True, "1", Direction.recvonly)
    assert (video.port, video.rtpmaps, video.direction, video.rtcp_mux) == (0, {}, Direction.sendonly, False)


def test_reads_keys_and_leaves_out_broken_ones() -> None:
    (crypto,) = Session.parse(OFFER).media[0].crypto
    assert (crypto.tag, crypto.suite, len(crypto.key)) == (1, "AES_CM_128_HMAC_SHA1_80", 30)
    assert (crypto.lifetime, crypto.mki, crypto.session_parameters) == ("2^20", "1:4", ("FEC_ORDER=FEC_SRTP",))
    assert Crypto.parse(str(crypto)) == crypto
    assert KEY not in repr(crypto)


def test_writes_what_it_reads() -> None:
    session = Session.parse(OFFER)
    assert Session.parse(session.encode()) == session


def test_writes_an_answer() -> None:
    media = Media("audio", 20000, "RTP/AVP", ["8"], [("rtpmap", "8 PCMA/8000"), ("recvonly", None)])
    session = Session(Origin("-", 1, 1, "2001:db8::1"), address="192.0.2.1", media=[media])
    assert session.encode() == (
        b"v=0\r\no=- 1 1 IN IP6 2001:db8::1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
        b"m=audio 20000 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=recvonly\r\n"
    )


def test_takes_lines_that_end_with_lf() -> None:
    assert Session.parse(OFFER.replace(b"\r\n", b"\n")) == Session.parse(OFFER)


def test_takes_other_media_than_rtp() -> None:
    body = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n"
    assert Session.parse(body).media[0].formats == ["webrtc-datachannel"]


def test_knows_a_multicast_address_by_its_host() -> None:
    body = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 224.2.1.1/127/3\r\n"
    assert Session.parse(body).address == "224.2.1.1"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"v=1\r\no=- 1 1 IN IP4 192.0.2.1\r\n",
        b"v=0\r\ns=-\r\n",
        b"v=0\r\no=- 1 1 IN IP9 192.0.2.1\r\n",
        b"v=0\r\no=- one 1 IN IP4 192.0.2.1\r\n",
        b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nc=192.0.2.1\r\n",
        b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nm=audio\r\n",
        b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nm=audio 65536 RTP/AVP 0\r\n",
        b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nm=audio 1000 RTP/AVP 128\r\n",
        b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nm=audio 1000 RTP/AVP PCMU\r\n",
        b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ngarbage\r\n",
        b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\na=x\0y\r\n",
        b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\n" + b"m=audio 1000 RTP/AVP 0\r\n" * 33,
    ],
)
def test_refuses(body: bytes) -> None:
    with pytest.raises(BadSdp):
        Session.parse(body)


@pytest.mark.parametrize("attribute", ["rtcp:65536", "rtcp:x", "fmtp:x y", "rtpmap:0 PCMU", "rtpmap:0"])
def test_leaves_out_malformed_attributes(attribute: str) -> None:
    body = f"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nm=audio 1000 RTP/AVP 0\r\na={attribute}\r\n"
    (media,) = Session.parse(body.encode()).media
    assert (media.rtcp, media.fmtp, media.rtpmaps) == (None, {}, {0: RtpMap("PCMU", 8000)})


def test_space_at_the_end_of_a_line_is_no_part_of_it() -> None:
    body = "v=0\r\no=- 1 1 IN IP4 192.0.2.1 \r\ns=-\r\nm=audio 1000 RTP/AVP 0 \r\na=rtcp-mux \r\na=inactive \r\n"
    (media,) = Session.parse(body.encode()).media
    assert (media.direction, media.rtcp_mux) == (Direction.inactive, True)
