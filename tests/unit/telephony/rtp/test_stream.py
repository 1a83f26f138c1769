"""A stream on real sockets: what is listened to, what is handed over, what is reported."""

from __future__ import annotations

import socket
import struct
from dataclasses import replace

import pytest

from voice_verify.telephony.rtp import MediaFormat, Output, PortPool, RtpStream
from voice_verify.telephony.rtp.rtcp import Bye, parse, report

from .conftest import OpenLine, free_ports
from .line import (
    ALAW_SILENCE,
    BELIEVED_S,
    PCMA,
    SENDER_REPORT,
    Line,
    all_of,
    formats,
    media,
    rtp,
    speech,
    spoken,
)


def test_audio_is_handed_over_in_blocks(line: OpenLine) -> None:
    call = line()
    stream = call.open()
    peer = call.peer()
    peer.send(*map(spoken, range(12)))
    call.turn(BELIEVED_S)
    assert [len(block) for block in call.blocks] == [800, 800]
    assert stream.source == peer.address
    peer.send(*map(spoken, range(12, 15)))
    # What is still in the socket belongs to the call.
    stats = stream.close()
    assert call.heard == all_of(*range(15))
    assert stats.packets == 15
    assert stats.lost == 0


def test_closing_gives_the_ports_back_once(line: OpenLine, pool: PortPool) -> None:
    call = line()
    stream = call.open()
    assert pool.free == 3
    stream.close()
    stream.close()
    assert pool.free == 4
    assert call.ended == 1


def test_a_consumer_may_close_the_stream(line: OpenLine, pool: PortPool) -> None:
    call = line()
    streams: list[RtpStream] = []

    def enough(block: bytes) -> None:
        call.blocks.append(block)
        streams[0].close()

    streams.append(call.open(on_block=enough))
    call.peer().send(*map(spoken, range(8)))
    call.turn(BELIEVED_S)
    # Not even what had been read already.
    assert call.heard == all_of(*range(5))
    assert pool.free == 4


def test_a_consumer_that_fails_does_not_keep_the_ports(line: OpenLine, pool: PortPool) -> None:
    call = line()

    def broken(block: bytes) -> None:
        raise RuntimeError("no room")

    stream = call.open(on_block=broken)
    call.peer().send(*map(spoken, range(8)))
    with pytest.raises(RuntimeError):
        stream.close()
    assert pool.free == 4


def test_silence_is_measured_from_the_last_packet(line: OpenLine) -> None:
    call = line()
    stream = call.open()
    call.turn(7)
    assert stream.silent_s == pytest.approx(7)
    peer = call.peer()
    peer.send(*map(spoken, range(8)))
    call.turn(BELIEVED_S)
    assert stream.silent_s == 0
    call.turn(4)
    assert stream.silent_s == pytest.approx(4)
    peer.send_rtcp(SENDER_REPORT)
    call.turn()
    assert stream.silent_s == 0


def test_a_stranger_is_not_heard_while_the_peer_speaks(line: OpenLine) -> None:
    call = line()
    stream = call.open()
    peer, stranger = call.peer(), call.peer()
    peer.send(*map(spoken, range(8)))
    call.turn(BELIEVED_S)
    stranger.send(*(rtp(number, 160 * number, b"\x99" * 160) for number in range(8, 20)))
    peer.send(*map(spoken, range(8, 10)))
    call.turn()
    assert call.heard == all_of(*range(10))
    assert stream.stats.foreign == 12
    assert stream.source == peer.address


def test_the_address_of_the_sdp_takes_over_from_who_came_first(line: OpenLine) -> None:
    call = line()
    peer, hijacker = call.peer(), call.peer("127.0.0.2")
    stream = call.open(media(remote=peer.address))
    hijacker.send(*(spoken(number, ssrc=666) for number in range(10)))
    call.turn(BELIEVED_S)
    assert stream.source == hijacker.address
    call.blocks.clear()
    for number in range(10):
        hijacker.send(spoken(10 + number, ssrc=666))
        peer.send(spoken(100 + number))
    call.turn(BELIEVED_S)
    assert stream.source == peer.address
    hijacker.send(*(spoken(number, ssrc=666) for number in range(20, 30)))
    call.turn()
    assert stream.stats.foreign == 10
    assert call.heard.endswith(all_of(*range(100, 110)))


@pytest.mark.skipif(not socket.has_ipv6, reason="there is no IPv6")
def test_a_socket_for_both_families_knows_a_peer_by_its_ipv4_address() -> None:
    first = free_ports(2)
    call = Line(PortPool("::", first, first + 1))
    peer, control, hijacker = call.peer(), call.peer(), call.peer("127.0.0.2")
    try:
        stream = call.open(replace(media(remote=peer.address), rtcp=control.address))
        call.turn(8)
        assert control.udp.recv(2000)[1] == 201
        control.send_rtcp(SENDER_REPORT)
        call.turn()
        assert stream.stats.rtcp == 1
        hijacker.send(*(spoken(number, ssrc=666) for number in range(10)))
        call.turn(BELIEVED_S)
        assert stream.source == hijacker.address
        peer.send(*(spoken(number) for number in range(100, 110)))
        call.turn(BELIEVED_S)
        assert stream.source == peer.address
    finally:
        call.finish()


def test_hold_and_resume(line: OpenLine) -> None:
    call = line()
    stream = call.open()
    peer = call.peer()
    peer.send(*map(spoken, range(12)))
    call.turn(BELIEVED_S)
    stream.update(media(held=True))
    assert call.heard == all_of(*range(12))
    peer.send(*map(spoken, range(12, 60)))
    call.turn()
    assert stream.silent_s == 0
    stream.update(media())
    peer.send(*map(spoken, range(60, 65)))
    call.turn()
    assert call.heard == all_of(*range(12), *range(60, 65))
    assert stream.stats.packets == 65


def test_silence_on_hold_is_nobodys_fault(line: OpenLine) -> None:
    call = line()
    stream = call.open(media(held=True))
    call.turn(3600)
    stream.update(media())
    assert stream.silent_s == 0
    call.turn(5)
    assert stream.silent_s == pytest.approx(5)


def test_another_codec_after_a_re_invite(line: OpenLine) -> None:
    call = line()
    stream = call.open(media({8: PCMA}))
    peer = call.peer()
    peer.send(*map(spoken, range(7)))
    call.turn(BELIEVED_S)
    stream.update(media())
    peer.send(*(rtp(number, 160 * number, bytes(160), kind=9) for number in range(7, 12)))
    call.turn()
    assert call.outputs == [Output("pcm_s16le", 16_000)]
    assert [len(block) for block in call.blocks] == [800, 320, 3200]
    assert stream.output == Output("pcm_s16le", 16_000)


def test_another_address_after_a_re_invite(line: OpenLine) -> None:
    call = line()
    stream = call.open()
    first, second = call.peer(), call.peer("127.0.0.2")
    first.send(*map(spoken, range(10)))
    call.turn(BELIEVED_S)
    stream.update(media(remote=second.address))
    second.send(*(spoken(number, ssrc=9) for number in range(500, 510)))
    call.turn(BELIEVED_S)
    assert stream.source == second.address
    assert stream.stats.restarts == 1
    assert all_of(*range(500, 510)) in call.heard


def test_a_report_tells_what_was_lost(line: OpenLine) -> None:
    call = line()
    peer, control = call.peer(), call.peer()
    call.open(replace(media(remote=peer.address), rtcp=control.address))
    peer.send(*map(spoken, range(8)))
    call.turn(BELIEVED_S)
    peer.send(*(spoken(number) for number in range(8, 20) if number not in (10, 11, 12)))
    call.turn()
    control.send_rtcp(SENDER_REPORT)
    call.turn()
    call.turn(8)
    packet = control.udp.recv(2000)
    assert packet[:2] == bytes([0x81, 201])
    source, fraction, lost, highest, jitter, middle, delay = struct.unpack("!IB3sIIII", packet[8:32])
    assert (source, fraction, int.from_bytes(lost), highest) == (7, 256 * 3 // 20, 3, 19)
    # All were sent at once: the jitter is about what 20 ms add up to, in units of 1/8000 s.
    assert 0 < jitter <= 160
    assert middle == 0x22223333
    assert delay >= 8 * 65536
    assert packet[32:34] == bytes([0x81, 202])


def test_reports_come_from_the_audio_port_when_both_share_it(line: OpenLine) -> None:
    call = line()
    stream = call.open(media(rtcp_mux=True))
    peer = call.peer()
    peer.send(*map(spoken, range(10)))
    call.turn(BELIEVED_S)
    peer.send(SENDER_REPORT)
    call.turn()
    assert stream.stats.rtcp == 1
    call.turn(8)
    packet, source = peer.udp.recvfrom(2000)
    assert source == ("127.0.0.1", call.port)
    assert packet[1] == 201


def test_the_end_of_the_call_is_told_by_rtcp(line: OpenLine) -> None:
    call = line()
    peer = call.peer()
    call.open(replace(media(remote=peer.address), rtcp=peer.address)).close()
    packets = parse(peer.udp.recv(2000))
    assert packets is not None
    assert isinstance(packets[0], Bye)


def test_the_end_told_by_the_peer_is_noticed(line: OpenLine) -> None:
    call = line()
    stream = call.open()
    peer = call.peer()
    peer.send(*map(spoken, range(10)))
    call.turn(BELIEVED_S)
    peer.send_rtcp(report(9, b"x", None, bye=True))
    call.turn()
    assert not stream.said_bye
    peer.send_rtcp(report(7, b"x", None, bye=True))
    call.turn()
    assert stream.said_bye
    peer.send(spoken(10))
    call.turn()
    assert not stream.said_bye


def test_rtcp_of_strangers_is_not_believed(line: OpenLine) -> None:
    call = line()
    stream = call.open()
    call.peer().send(*map(spoken, range(10)))
    call.turn(BELIEVED_S)
    call.peer("127.0.0.2").send_rtcp(report(7, b"x", None, bye=True))
    call.turn()
    assert not stream.said_bye
    assert stream.stats.foreign == 1


def test_packets_that_are_too_long_are_counted(line: OpenLine) -> None:
    call = line()
    stream = call.open()
    call.peer().send(rtp(1, 160, bytes(8000)))
    call.turn()
    assert stream.stats.malformed == 1


def test_a_flood_is_read_no_further_than_speech_can_be_fast(line: OpenLine) -> None:
    call = line()
    stream = call.open()
    peer = call.peer()
    peer.send(*map(spoken, range(100)))
    call.turn(BELIEVED_S)
    for start in range(100, 6000, 100):
        peer.send(*map(spoken, range(start, start + 100)))
        call.turn()
    assert stream.stats.flooded > 4000
    assert len(call.heard) <= 8000 * 15
    call.turn(60)
    peer.send(*map(spoken, range(7000, 7100)))
    call.turn(BELIEVED_S)
    stream.close()
    assert call.heard.endswith(speech(7099))


def test_a_peer_that_sends_no_silence_is_not_idle(line: OpenLine) -> None:
    call = line()
    call.open()
    peer = call.peer()
    peer.send(*map(spoken, range(10)))
    call.turn(BELIEVED_S)
    call.blocks.clear()
    for _ in range(20):
        peer.send_rtcp(SENDER_REPORT)
        for _ in range(60):
            call.turn(0.1)
    assert set(call.heard) == set(ALAW_SILENCE)
    assert len(call.heard) / 8000 == pytest.approx(120, abs=6)


def test_no_silence_is_made_up_for_a_peer_that_is_gone(line: OpenLine) -> None:
    call = line()
    call.open()
    call.peer().send(*map(spoken, range(10)))
    for _ in range(300):
        call.turn(0.1)
    assert call.heard == all_of(*range(10))


def test_a_sender_that_stalls_often_and_catches_up_is_no_flood(line: OpenLine) -> None:
    call = line()
    stream = call.open()
    peer = call.peer()
    for start in range(0, 1500, 300):
        peer.send_rtcp(SENDER_REPORT)
        for _ in range(60):
            call.turn(0.1)
        for some in range(start, start + 300, 100):
            peer.send(*map(spoken, range(some, some + 100)))
            call.turn()
    stats = stream.close()
    assert stats.packets == 1500
    assert stats.flooded == 0


def test_what_a_stall_left_in_the_socket_is_all_heard(line: OpenLine) -> None:
    call = line()
    stream = call.open()
    call.peer().send(*map(spoken, range(200)))
    call.turn(4)
    call.turn(0.1)
    assert call.heard == all_of(*range(200))
    assert stream.stats.overflowed == 0


def test_what_a_stall_left_for_the_next_turn_is_not_late(line: OpenLine) -> None:
    call = line()
    stream = call.open()
    # The swap lies where the first turn ends.
    peer = call.peer()
    peer.send(*map(spoken, range(10)))
    call.turn(BELIEVED_S)
    peer.send(*map(spoken, (*range(10, 137), 138, 137, *range(139, 150))))
    call.turn(4)
    call.turn(0.1)
    assert call.heard == all_of(*range(150))
    assert stream.stats.lost == 0


def test_a_stall_in_the_middle_of_a_turn_makes_nothing_late(line: OpenLine) -> None:
    call = line()
    stream = call.open()
    peer = call.peer()
    peer.send(*map(spoken, range(10)))
    call.turn(BELIEVED_S)
    peer.send(spoken(11))
    # The turn began five seconds before the packet came.
    call.turn(-5)
    peer.send(*map(spoken, (10, 12, 13, 14)))
    call.turn()
    assert call.heard == all_of(*range(15))
    assert stream.stats.lost == 0


def test_what_the_kernel_dropped_is_counted(line: OpenLine) -> None:
    call = line()
    stream = call.open()
    peer = call.peer()
    peer.send(*map(spoken, range(10)))
    call.turn(BELIEVED_S)
    peer.send(*map(spoken, range(10, 3000)))
    for _ in range(24):
        call.turn(1)
    # The kernel tells it with the next packet.
    peer.send(spoken(3000))
    call.turn(1)
    stats = stream.stats
    assert stats.overflowed > 1000
    assert stats.packets + stats.overflowed == 3001
    assert stats.lost == stats.overflowed


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param({"remote": ("pbx.example.com", 4000)}, id="a name"),
        pytest.param({"remote": ("192.0.2.1", 0)}, id="port 0"),
        pytest.param({"remote": ("192.0.2.1", 65536)}, id="no port"),
        pytest.param({"remote": None, "rtcp": ("pbx", 4001)}, id="a name for RTCP"),
    ],
)
def test_addresses_that_are_none_are_refused(arguments: dict[str, tuple[str, int]]) -> None:
    with pytest.raises(ValueError, match=r"port|address"):
        MediaFormat(formats({8: PCMA}), **arguments)  # type: ignore[arg-type]


def test_a_stream_needs_a_format_with_audio() -> None:
    with pytest.raises(ValueError, match="no format with audio"):
        media({101: PCMA and None})


def test_the_last_port_has_no_port_for_rtcp() -> None:
    assert media(remote=("192.0.2.1", 65535)).rtcp_address is None
    assert media(remote=("192.0.2.1", 65535), rtcp_mux=True).rtcp_address == ("192.0.2.1", 65535)
    assert media(remote=("192.0.2.1", 4000)).rtcp_address == ("192.0.2.1", 4001)


def test_losses_are_silence(line: OpenLine) -> None:
    call = line()
    stream = call.open()
    call.peer().send(*(spoken(number) for number in range(20) if number % 5))
    call.turn(BELIEVED_S)
    stream.close()
    expected = b"".join(speech(number) if number % 5 else ALAW_SILENCE * 160 for number in range(1, 20))
    assert call.heard == expected
