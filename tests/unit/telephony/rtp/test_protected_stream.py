"""A stream with SRTP on real sockets."""

from __future__ import annotations

import pylibsrtp

from voice_verify.telephony.rtp import SUITES, SrtpKeys, new_key

from .conftest import OpenLine
from .line import BELIEVED_S, SENDER_REPORT, all_of, media, spoken


def protected(keys: SrtpKeys) -> pylibsrtp.Session:
    return pylibsrtp.Session(pylibsrtp.Policy(keys.remote, pylibsrtp.Policy.SSRC_ANY_OUTBOUND))


def test_protected_audio_and_reports(line: OpenLine) -> None:
    keys = SrtpKeys(SUITES[0], new_key(), new_key())
    call = line()
    stream = call.open(media(srtp=keys, rtcp_mux=True))
    peer, stranger, sender = call.peer(), call.peer(), protected(keys)
    packets = [sender.protect(spoken(number)) for number in range(10)]
    stranger.send(*map(spoken, range(10)))
    stranger.send(
        *(protected(SrtpKeys(SUITES[0], new_key(), new_key())).protect(spoken(number)) for number in range(5))
    )
    peer.send(*packets, sender.protect_rtcp(SENDER_REPORT))
    stranger.send(packets[-1])
    call.turn(BELIEVED_S)
    assert call.heard == all_of(*range(10))
    assert stream.stats.srtp_failures == 16
    assert stream.source == peer.address
    call.turn(8)
    ours = pylibsrtp.Session(pylibsrtp.Policy(keys.local, pylibsrtp.Policy.SSRC_ANY_INBOUND))
    assert ours.unprotect_rtcp(peer.udp.recv(2000))[1] == 201


def test_a_protected_peer_may_move_at_once(line: OpenLine) -> None:
    keys = SrtpKeys(SUITES[0], new_key(), new_key())
    call = line()
    stream = call.open(media(srtp=keys))
    sender, moved = protected(keys), call.peer("127.0.0.2")
    call.peer().send(*(sender.protect(spoken(number)) for number in range(10)))
    call.turn(BELIEVED_S)
    moved.send(*(sender.protect(spoken(number)) for number in range(10, 15)))
    call.turn()
    assert stream.source == moved.address
    assert call.heard == all_of(*range(15))


def test_the_same_keys_after_a_re_invite_keep_the_replay_window(line: OpenLine) -> None:
    keys = SrtpKeys(SUITES[0], new_key(), new_key())
    call = line()
    stream = call.open(media(srtp=keys))
    peer, sender = call.peer(), protected(keys)
    packets = [sender.protect(spoken(number)) for number in range(10)]
    peer.send(*packets)
    call.turn(BELIEVED_S)
    stream.update(media(srtp=SrtpKeys(*vars(keys).values())))
    peer.send(*packets)
    call.turn()
    assert stream.stats.srtp_failures == 10
    others = SrtpKeys(SUITES[0], new_key(), new_key())
    stream.update(media(srtp=others))
    sender = protected(others)
    peer.send(*(sender.protect(spoken(number)) for number in range(10, 15)))
    call.turn()
    assert call.heard == all_of(*range(15))


def test_another_key_of_the_peer_does_not_number_our_reports_anew(line: OpenLine) -> None:
    ours = new_key()
    call = line()
    peer = call.peer()
    stream = call.open(media(remote=peer.address, srtp=SrtpKeys(SUITES[0], new_key(), ours), rtcp_mux=True))
    call.turn(8)
    stream.update(media(remote=peer.address, srtp=SrtpKeys(SUITES[0], new_key(), ours), rtcp_mux=True))
    call.turn(8)
    receiver = pylibsrtp.Session(pylibsrtp.Policy(ours, pylibsrtp.Policy.SSRC_ANY_INBOUND))
    for _ in range(2):
        # The second would be a replay.
        assert receiver.unprotect_rtcp(peer.udp.recv(2000))[1] == 201
