"""Whatever comes over the network is handed over, or counted and dropped; nothing is raised, leaked or invented."""

from __future__ import annotations

import random
from dataclasses import asdict

import pylibsrtp
import pytest

from voice_verify.telephony.rtp import SUITES, MediaFormat, SrtpKeys, find_codec, new_key
from voice_verify.telephony.rtp import rtcp as control
from voice_verify.telephony.rtp.media import MediaFormat as Agreed
from voice_verify.telephony.rtp.packet import parse

from .conftest import OpenLine
from .line import media, rtp, spoken

# Numbers that jump are minutes of silence: so long must a turn seem for that to be no flood.
TURN_S = 60.0
SENDER_REPORT = control.report(7, b"name", None, bye=True)


def mutated(chance: random.Random, packet: bytes) -> bytes:
    """The packet, or something that was made of it."""
    data = bytearray(packet)
    for _ in range(chance.choice((0, 0, 1, 1, 2, 8))):
        match chance.randrange(6):
            case 0 if data:
                data[chance.randrange(min(len(data), 16))] = chance.randrange(256)
            case 1 if data:
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
            case 2:
                del data[chance.randrange(len(data) + 1) :]
            case 3:
                data += chance.randbytes(chance.randrange(40))
            case 4:
                data = bytearray(chance.randbytes(chance.randrange(64)))
            case 5:
                start = chance.randrange(len(data) + 1)
                data[start:start] = data[:4]
    return bytes(data)


def test_parsers_take_any_bytes() -> None:
    chance = random.Random(1889)  # noqa: S311
    valid = [spoken(1), rtp(2, 320, b"abcd", kind=101), SENDER_REPORT, bytes(12)]
    for _ in range(150_000):
        data = mutated(chance, chance.choice(valid))
        packet = parse(data)
        if packet:
            assert packet.payload_type < 128
            assert len(packet.payload) <= len(data) - 12
        control.parse(data)


def opus() -> MediaFormat | None:
    codec = find_codec("opus", 48_000, 2)
    return media({111: codec}) if codec else None


@pytest.mark.parametrize(
    ("agreed", "kinds", "packets"),
    [(media(), (8, 0, 9, 13, 101, 77), 30_000), (opus(), (111,), 10_000)],
    ids=["all", "opus"],
)
def test_a_stream_takes_any_packets(
    line: OpenLine, agreed: Agreed | None, kinds: tuple[int, ...], packets: int
) -> None:
    if agreed is None:
        pytest.skip("libopus.so.0 is not installed")
    chance = random.Random(3550)  # noqa: S311
    call = line()
    stream = call.open(agreed)
    peers = [call.peer(), call.peer(), call.peer("127.0.0.2")]
    number, ssrc, sent, control_sent, turns = 0, 7, 0, 0, 0
    while sent < packets:
        for _ in range(60):
            number += chance.choice((1, 1, 1, 1, 1, 1, 1, 0, 2, -1, 5, 300))
            if chance.random() < 0.002:
                ssrc, number = chance.randrange(1 << 32), chance.randrange(1 << 16)
            packet = rtp(number, 160 * number, chance.randbytes(160), kind=chance.choice(kinds), ssrc=ssrc)
            chance.choices(peers, (20, 1, 1))[0].send(mutated(chance, packet))
            sent += 1
        peers[0].send_rtcp(mutated(chance, SENDER_REPORT))
        control_sent += 1
        call.turn(TURN_S)
        turns += 1
    stats = stream.close()
    assert stats.overflowed == stats.flooded == 0
    counted = stats.packets + stats.foreign + stats.malformed + stats.unconfirmed + stats.rtcp
    # A payload that its codec refused is a packet, and malformed.
    assert sent + control_sent <= counted
    assert min(stats.packets, stats.foreign, stats.malformed, stats.unconfirmed, stats.lost, stats.rtcp) > 0
    assert all(count >= 0 for count in asdict(stats).values())
    assert 0 <= stats.jitter_s < 1
    # Five seconds are made of a gap at most, however far the numbers jump, and no more than time went by.
    assert sum(map(len, call.blocks)) < 32_000 * (TURN_S * turns + 15)


def test_a_protected_stream_takes_any_packets(line: OpenLine) -> None:
    chance = random.Random(3711)  # noqa: S311
    keys = SrtpKeys(SUITES[0], new_key(), new_key())
    call = line()
    stream = call.open(media(srtp=keys, rtcp_mux=True))
    peer = call.peer()
    sender = pylibsrtp.Session(pylibsrtp.Policy(keys.remote, pylibsrtp.Policy.SSRC_ANY_OUTBOUND))
    whole = 0
    for start in range(0, 10_000, 100):
        for number in range(start, start + 100):
            packet = sender.protect(spoken(number))
            sent = mutated(chance, packet)
            whole += sent == packet
            peer.send(sent)
        call.turn(2.0)
    stats = stream.close()
    # What was changed anywhere is not believed, what was not is heard.
    assert stats.packets == whole
    assert stats.srtp_failures == 10_000 - whole
    assert stats.malformed == 0
