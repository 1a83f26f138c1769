"""Speech as captured RTP: what sipp plays."""

from __future__ import annotations

import io
import socket
import struct
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

RATE = 8000
PACKET_S = 0.02
PACKET = int(RATE * PACKET_S)
ETHERNET, IPV4_TYPE, UDP_PROTOCOL = 1, b"\x08\x00", 17
# sipp replaces addresses and ports; only the order of the fields matters.
NOWHERE = socket.inet_aton("127.0.0.1")
PORT = 4000


class Payload(IntEnum):
    """Static payload types, RFC 3551 section 6."""

    PCMU = 0
    PCMA = 8


def g711(samples: NDArray[np.int16], payload: Payload) -> bytes:
    """One byte a sample."""
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format="RAW", subtype="ALAW" if payload is Payload.PCMA else "ULAW")
    return file.getvalue()


def packets(audio: bytes, payload: Payload, *, ssrc: int = 0x1234ABCD, first: int = 1000) -> Iterator[bytes]:
    """RTP packets (RFC 3550 section 5.1) of 20 ms; the last one is left out unless it is full."""
    for number, start in enumerate(range(0, len(audio) - PACKET + 1, PACKET)):
        # The first packet of a talkspurt is marked.
        marked = 0x80 if number == 0 else 0
        sequence = (first + number) & 0xFFFF
        yield struct.pack("!BBHII", 0x80, payload | marked, sequence, start, ssrc) + audio[start : start + PACKET]


def write(file: Path, samples: NDArray[np.int16], payload: Payload = Payload.PCMA) -> Path:
    """Write samples at 8 kHz as a capture of RTP at the pace of speech, for play_pcap_audio; returns `file`."""
    with file.open("wb") as capture:
        # Version 2.4, no time zone, whole packets.
        capture.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, ETHERNET))
        for number, packet in enumerate(packets(g711(samples, payload), payload)):
            frame = _frame(packet)
            seconds, microseconds = divmod(round(number * PACKET_S * 1_000_000), 1_000_000)
            capture.write(struct.pack("<IIII", seconds, microseconds, len(frame), len(frame)) + frame)
    return file


def _frame(packet: bytes) -> bytes:
    datagram = struct.pack("!HHHH", PORT, PORT, 8 + len(packet), 0) + packet
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(datagram), 0, 0, 64, UDP_PROTOCOL, 0, NOWHERE, NOWHERE)
    return bytes(12) + IPV4_TYPE + header + datagram
