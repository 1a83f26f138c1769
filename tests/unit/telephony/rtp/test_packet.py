"""RTP headers, one that lies a test."""

from __future__ import annotations

import struct

import pytest

from voice_verify.telephony.rtp.packet import Packet, is_rtcp, parse


def header(first: int = 0x80, second: int = 8) -> bytes:
    return struct.pack("!BBHII", first, second, 65535, 4294967295, 42)


def test_a_plain_packet() -> None:
    assert parse(header() + b"audio") == Packet(8, 65535, 4294967295, 42, b"audio")


def test_the_marker_is_no_part_of_the_payload_type() -> None:
    packet = parse(header(second=0x80 | 101))
    assert packet is not None
    assert packet.payload_type == 101


def test_contributing_sources_extension_and_padding_are_taken_off() -> None:
    sources = bytes(8)
    extension = struct.pack("!HH", 0xBEDE, 1) + b"\x10\xff\0\0"
    packet = parse(header(0x80 | 0x20 | 0x10 | 2) + sources + extension + b"audio" + b"\0\0\3")
    assert packet is not None
    assert packet.payload == b"audio"


def test_a_packet_without_payload() -> None:
    assert parse(header()) == Packet(8, 65535, 4294967295, 42, b"")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(header()[:11], id="short"),
        pytest.param(header(0x00) + bytes(160), id="version 0"),
        pytest.param(header(0x40) + bytes(160), id="version 1"),
        pytest.param(header(0xC0) + bytes(160), id="version 3"),
        pytest.param(header(0x8F) + bytes(59), id="fifteen sources and no room"),
        pytest.param(header(0x90) + bytes(3), id="half an extension header"),
        pytest.param(header(0x90) + struct.pack("!HH", 0, 65535) + bytes(160), id="extension beyond the end"),
        pytest.param(header(0xA0) + bytes(160), id="padding of nothing"),
        pytest.param(header(0xA0) + b"\xff" * 160, id="padding beyond the start"),
        pytest.param(header(0xA0), id="padding without payload"),
        pytest.param(b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12), id="STUN"),
        pytest.param(b"\x16\xfe\xff" + bytes(60), id="DTLS"),
    ],
)
def test_what_is_no_packet_is_refused(data: bytes) -> None:
    assert parse(data) is None


def test_rtcp_on_the_same_port_is_told_apart() -> None:
    assert is_rtcp(bytes([0x80, 200]))
    assert is_rtcp(bytes([0x80, 201]))
    assert not is_rtcp(header())
    # A marker on payload type 101.
    assert not is_rtcp(bytes([0x80, 0x80 | 101]))
    assert not is_rtcp(b"\x80")
