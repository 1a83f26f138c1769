"""RTCP packets (RFC 3550, section 6)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from voice_verify.telephony.rtp.packet import RTCP_KINDS

_HEADER = struct.Struct("!BBH")
_SENDER_REPORT, _RECEIVER_REPORT, _DESCRIPTION, _BYE = 200, 201, 202, 203
_CNAME = 1
_WORD = struct.Struct("!I")
_BLOCK = struct.Struct("!IIIIII")
_MAX_LOST = (1 << 23) - 1


@dataclass(frozen=True)
class SenderReport:
    """`middle`: the middle 32 bits of its NTP time, which our report repeats."""

    ssrc: int
    middle: int


@dataclass(frozen=True)
class Bye:
    ssrcs: tuple[int, ...]


@dataclass(frozen=True)
class ReportBlock:
    """Section 6.4.1. `fraction`: of 256, lost since the last; `jitter` in timestamp units, `delay` in s / 65536."""

    ssrc: int
    fraction: int
    lost: int
    highest: int
    jitter: int
    middle: int
    delay: int

    def encode(self) -> bytes:
        lost = max(-_MAX_LOST, min(self.lost, _MAX_LOST)) & 0xFFFFFF
        return _BLOCK.pack(
            self.ssrc, self.fraction << 24 | lost, self.highest, self.jitter & 0xFFFFFFFF, self.middle, self.delay
        )


def parse(data: bytes) -> list[SenderReport | Bye] | None:
    """What is of interest in one packet or a compound; None when the lengths do not add up (A.2).

    A.2 wants a report first. Phones open their firewall with an APP packet alone, and RFC 5506 allows others.
    """
    packets = list(_packets(data))
    if not packets or packets[-1] is None:
        return None
    found: list[SenderReport | Bye] = []
    for packet in packets:
        if packet is None:
            continue
        kind, count, body = packet
        if kind == _SENDER_REPORT and len(body) >= 24:
            found.append(SenderReport(_WORD.unpack_from(body)[0], _WORD.unpack_from(body, 6)[0]))
        elif kind == _BYE and len(body) >= 4 * count:
            found.append(Bye(struct.unpack_from(f"!{count}I", body)))
    return found


def _packets(data: bytes) -> Iterator[tuple[int, int, bytes] | None]:
    """Kind, count and body of each; None, as the last, for what does not fit."""
    start = 0
    while start < len(data):
        if start + 4 > len(data):
            yield None
            return
        first, kind, words = _HEADER.unpack_from(data, start)
        end = start + 4 * (words + 1)
        if first >> 6 != 2 or kind not in RTCP_KINDS or end > len(data):
            yield None
            return
        yield kind, first & 0x1F, data[start + 4 : end]
        start = end


def report(ssrc: int, cname: bytes, block: ReportBlock | None, *, bye: bool = False) -> bytes:
    """A compound packet of ours: receiver report, CNAME, and the end of it with `bye`."""
    blocks = block.encode() if block else b""
    item = bytes([_CNAME, len(cname)]) + cname
    # A null byte ends the items, more of them fill the word (6.5).
    item += bytes(4 - len(item) % 4)
    compound = _encode(_RECEIVER_REPORT, 1 if block else 0, _WORD.pack(ssrc) + blocks)
    compound += _encode(_DESCRIPTION, 1, _WORD.pack(ssrc) + item)
    if bye:
        compound += _encode(_BYE, 1, _WORD.pack(ssrc))
    return compound


def _encode(kind: int, count: int, body: bytes) -> bytes:
    return _HEADER.pack(0x80 | count, kind, len(body) // 4) + body
