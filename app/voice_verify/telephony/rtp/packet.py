"""RTP packets (RFC 3550, section 5.1)."""

from __future__ import annotations

import struct
from typing import NamedTuple

_HEADER = struct.Struct("!BBHII")
_EXTENSION = struct.Struct("!HH")
# The second byte of RTP, with the marker, is none of them (RFC 5761, section 4).
RTCP_KINDS = range(192, 224)


class Packet(NamedTuple):
    """`payload_type` without the marker bit; the payload without padding."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes


def is_rtcp(data: bytes) -> bool:
    """Whether a datagram of a shared port is RTCP."""
    return len(data) > 1 and data[1] in RTCP_KINDS


def parse(data: bytes) -> Packet | None:
    """The packet in a datagram; None when it is none (RFC 3550, A.1)."""
    if len(data) < _HEADER.size:
        return None
    first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
    if first == 0x80:
        # Nearly all of them: no padding, no extension, no contributing sources.
        return Packet(second & 0x7F, sequence, timestamp, ssrc, data[12:])
    start, end = _payload(data, first)
    if first >> 6 != 2 or start > end:
        return None
    return Packet(second & 0x7F, sequence, timestamp, ssrc, data[start:end])


def _payload(data: bytes, first: int) -> tuple[int, int]:
    """Where the payload starts and ends; it ends before it starts where the header lies about the length."""
    start, end = _HEADER.size + 4 * (first & 0x0F), len(data)
    if first & 0x10:
        if start + _EXTENSION.size > end:
            return end, 0
        start += _EXTENSION.size + 4 * _EXTENSION.unpack_from(data, start)[1]
    if first & 0x20:
        # The last byte counts itself.
        end = end - data[-1] if data[-1] else 0
    return start, end
