"""SRTP by keys from the SDP: what the peer protected is read, what anybody else did is not."""

from __future__ import annotations

import pylibsrtp
import pytest

from voice_verify.telephony.rtp import SUITES, SrtpKeys, new_key
from voice_verify.telephony.rtp.rtcp import report
from voice_verify.telephony.rtp.srtp import SrtpFailure, SrtpSession

from .line import spoken

PROFILES = dict(
    zip(
        SUITES,
        (pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80, pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_32),
        strict=True,
    )
)
PACKET = spoken(1)


def outgoing(key: bytes, suite: str = SUITES[0]) -> pylibsrtp.Session:
    kind = pylibsrtp.Policy.SSRC_ANY_OUTBOUND
    return pylibsrtp.Session(pylibsrtp.Policy(key, kind, srtp_profile=PROFILES[suite]))


@pytest.mark.parametrize(("suite", "tag"), [(SUITES[0], 10), (SUITES[1], 4)])
def test_what_the_peer_protects_is_read(suite: str, tag: int) -> None:
    keys = SrtpKeys(suite, new_key(), new_key())
    peer = outgoing(keys.remote, suite)
    protected = peer.protect(PACKET)
    assert len(protected) == len(PACKET) + tag
    assert PACKET[12:] not in protected
    session = SrtpSession(keys)
    assert session.rtp(protected) == PACKET
    control = report(7, b"name", None)
    # RFC 3711, section 5.2: RTCP keeps the tag of 80 bits. Then 4 bytes of index.
    protected = peer.protect_rtcp(control)
    assert len(protected) == len(control) + 14
    assert session.rtcp(protected) == control


def test_our_reports_are_protected_by_our_key() -> None:
    keys = SrtpKeys(SUITES[0], new_key(), new_key())
    control = report(7, b"name", None)
    kind = pylibsrtp.Policy.SSRC_ANY_INBOUND
    peer = pylibsrtp.Session(pylibsrtp.Policy(keys.local, kind, srtp_profile=PROFILES[SUITES[0]]))
    assert peer.unprotect_rtcp(SrtpSession(keys).protect_rtcp(control)) == control


def test_a_replayed_packet_is_refused() -> None:
    keys = SrtpKeys(SUITES[0], new_key(), new_key())
    protected = outgoing(keys.remote).protect(PACKET)
    session = SrtpSession(keys)
    session.rtp(protected)
    with pytest.raises(SrtpFailure, match="replay"):
        session.rtp(protected)


@pytest.mark.parametrize("position", [1, 13, -1])
def test_a_changed_packet_is_refused(position: int) -> None:
    keys = SrtpKeys(SUITES[0], new_key(), new_key())
    protected = bytearray(outgoing(keys.remote).protect(PACKET))
    protected[position] ^= 1
    with pytest.raises(SrtpFailure):
        SrtpSession(keys).rtp(bytes(protected))


def test_another_key_is_refused() -> None:
    session = SrtpSession(SrtpKeys(SUITES[0], new_key(), new_key()))
    with pytest.raises(SrtpFailure, match="authentication"):
        session.rtp(outgoing(new_key()).protect(PACKET))


@pytest.mark.parametrize("data", [b"", b"\x80", PACKET, bytes(1500), bytes(2048)])
def test_what_is_not_protected_is_refused(data: bytes) -> None:
    session = SrtpSession(SrtpKeys(SUITES[0], new_key(), new_key()))
    with pytest.raises(SrtpFailure):
        session.rtp(data)
    with pytest.raises(SrtpFailure):
        session.rtcp(data)


def test_the_peer_cannot_fill_our_memory_with_sources() -> None:
    keys = SrtpKeys(SUITES[0], new_key(), new_key())
    peer, session = outgoing(keys.remote), SrtpSession(keys)
    for ssrc in range(64):
        session.rtp(peer.protect(spoken(1, ssrc=ssrc)))
    with pytest.raises(SrtpFailure, match="sources"):
        session.rtp(peer.protect(spoken(1, ssrc=64)))
    assert session.rtp(peer.protect(spoken(2, ssrc=0))) == spoken(2, ssrc=0)


@pytest.mark.parametrize(
    ("suite", "key"), [("AES_CM_256_HMAC_SHA1_80", bytes(30)), (SUITES[0], bytes(29)), (SUITES[0], bytes(46))]
)
def test_keys_that_do_not_fit_are_refused(suite: str, key: bytes) -> None:
    with pytest.raises(ValueError, match=r"suite|bytes"):
        SrtpKeys(suite, key, bytes(30))


def test_keys_differ() -> None:
    assert new_key() != new_key()
