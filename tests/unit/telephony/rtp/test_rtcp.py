"""RTCP: reports as the RFC draws them, and what peers send."""

from __future__ import annotations

import struct

import pytest

from voice_verify.telephony.rtp.rtcp import Bye, ReportBlock, SenderReport, parse, report

SENDER_REPORT = struct.pack("!BBHIIIIII", 0x80, 200, 6, 7, 0x11112222, 0x33334444, 160, 1, 160)
BYE = struct.pack("!BBHI", 0x81, 203, 1, 7)


def test_a_report_is_a_compound_of_three() -> None:
    block = ReportBlock(ssrc=7, fraction=64, lost=-2, highest=0x1FFFF, jitter=20, middle=0x22223333, delay=65536)
    packet = report(0xABCD, b"name", block, bye=True)
    assert packet[:8] == struct.pack("!BBHI", 0x81, 201, 7, 0xABCD)
    assert packet[8:32] == struct.pack("!IB3sIIII", 7, 64, b"\xff\xff\xfe", 0x1FFFF, 20, 0x22223333, 65536)
    # One chunk: the source, item 1 of 4 bytes, nulls to the next word.
    assert packet[32:48] == struct.pack("!BBHI", 0x81, 202, 3, 0xABCD) + b"\1\4name\0\0"
    assert packet[48:] == struct.pack("!BBHI", 0x81, 203, 1, 0xABCD)
    assert parse(packet) == [Bye((0xABCD,))]


@pytest.mark.parametrize("length", range(16, 21))
def test_a_name_of_any_length_ends_with_a_null_on_a_word(length: int) -> None:
    packet = report(1, b"n" * length, None)
    assert len(packet) % 4 == 0
    assert packet.endswith(b"\0")
    assert parse(packet) == []


def test_a_loss_beyond_24_bits_is_cut() -> None:
    block = ReportBlock(ssrc=7, fraction=255, lost=1 << 30, highest=0, jitter=0, middle=0, delay=0)
    assert block.encode()[5:8] == b"\x7f\xff\xff"


def test_sender_report_and_bye_are_understood() -> None:
    assert parse(SENDER_REPORT + BYE) == [SenderReport(7, 0x22223333), Bye((7,))]


def test_packets_may_come_alone() -> None:
    # baresip opens its firewall so.
    assert parse(struct.pack("!BBHI4s", 0x80, 204, 2, 7, b"PING")) == []
    assert parse(BYE) == [Bye((7,))]


def test_kinds_of_others_are_passed_over() -> None:
    application = struct.pack("!BBHI4s", 0x80, 204, 2, 7, b"abcd")
    assert parse(SENDER_REPORT + application + BYE) == [SenderReport(7, 0x22223333), Bye((7,))]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(SENDER_REPORT[:3], id="half a header"),
        pytest.param(SENDER_REPORT[:-1], id="cut off"),
        pytest.param(SENDER_REPORT + BYE[:6], id="second cut off"),
        pytest.param(SENDER_REPORT + b"\0\0", id="trailing bytes"),
        pytest.param(b"\x80\x08" + SENDER_REPORT[2:], id="audio"),
        pytest.param(b"\x40" + SENDER_REPORT[1:], id="version 1"),
    ],
)
def test_what_is_no_compound_is_refused(data: bytes) -> None:
    assert parse(data) is None


def test_a_bye_that_claims_more_sources_than_it_has_is_passed_over() -> None:
    assert parse(SENDER_REPORT + struct.pack("!BBHI", 0x9F, 203, 1, 7)) == [SenderReport(7, 0x22223333)]
