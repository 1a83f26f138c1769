"""Which address is listened to."""

from __future__ import annotations

from voice_verify.telephony.rtp.latch import SILENT_S, Latch

PEER, OTHER, THIRD = ("192.0.2.1", 4000), ("192.0.2.2", 4000), ("192.0.2.1", 4002)


def test_before_any_audio_everybody_is_looked_at() -> None:
    latch = Latch(PEER)
    assert latch.admits(PEER, 0)
    assert latch.admits(OTHER, 0)


def test_once_locked_others_are_not() -> None:
    latch = Latch(None)
    latch.lock(PEER, 10)
    assert latch.admits(PEER, 10)
    assert not latch.admits(OTHER, 10 + SILENT_S)
    assert not latch.admits(THIRD, 10)


def test_a_silent_peer_may_have_moved() -> None:
    latch = Latch(PEER)
    latch.lock(PEER, 10)
    assert latch.admits(OTHER, 10.1 + SILENT_S)


def test_the_address_of_the_sdp_may_always_take_over() -> None:
    latch = Latch(PEER)
    latch.lock(OTHER, 10)
    assert latch.admits(PEER, 10)


def test_another_address_in_the_sdp_ends_the_lock() -> None:
    latch = Latch(PEER)
    latch.lock(PEER, 10)
    latch.announce(PEER)
    assert not latch.admits(OTHER, 10)
    latch.announce(OTHER)
    assert latch.source is None
    assert latch.admits(THIRD, 10)


def test_rtcp_is_taken_from_the_host_of_the_audio_and_of_the_sdp() -> None:
    latch = Latch(PEER)
    assert latch.knows_host("192.0.2.1")
    assert not latch.knows_host("192.0.2.2")
    latch.lock(OTHER, 10)
    assert latch.knows_host("192.0.2.2")
    assert not Latch(None).knows_host("192.0.2.1")
