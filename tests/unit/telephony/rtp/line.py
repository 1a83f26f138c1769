"""One stream on real sockets, its turns under the test's control, and a peer that sends to it."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Mapping

from voice_verify.telephony.rtp import Codec, MediaFormat, Output, PortPool, RtpStream, SrtpKeys, find_codec
from voice_verify.telephony.rtp.media import Address

PCMA, PCMU, G722 = (find_codec(name, 8000) for name in ("PCMA", "PCMU", "G722"))
EVENT = find_codec("telephone-event", 8000)
ALAW_SILENCE = b"\xd5"
# After which a peer that keeps sending is believed.
BELIEVED_S = 0.3
SENDER_REPORT = struct.pack("!BBHIIIIII", 0x80, 200, 6, 7, 0x11112222, 0x33334444, 160, 1, 160)


def formats(wanted: Mapping[int, Codec | None]) -> dict[int, Codec]:
    return {number: codec for number, codec in wanted.items() if codec}


def media(
    wanted: Mapping[int, Codec | None] | None = None,
    *,
    remote: Address | None = None,
    rtcp_mux: bool = False,
    srtp: SrtpKeys | None = None,
    held: bool = False,
) -> MediaFormat:
    negotiated = formats(wanted or {8: PCMA, 0: PCMU, 9: G722, 101: EVENT})
    return MediaFormat(negotiated, remote, rtcp_mux=rtcp_mux, srtp=srtp, held=held)


def rtp(sequence: int, timestamp: int, payload: bytes, *, kind: int = 8, ssrc: int = 7) -> bytes:
    return struct.pack("!BBHII", 0x80, kind, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc) + payload


def speech(number: int) -> bytes:
    """20 ms of A-law that no other packet has, and no silence."""
    return bytes([number % 200]) * 160


def all_of(*numbers: int) -> bytes:
    return b"".join(speech(number) for number in numbers)


def spoken(sequence: int, *, ssrc: int = 7) -> bytes:
    return rtp(sequence, 160 * sequence, speech(sequence), ssrc=ssrc)


class Peer:
    """A UDP socket on an address of its own."""

    def __init__(self, line: Line, host: str = "127.0.0.1") -> None:
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.settimeout(5)
        self.udp.bind((host, 0))
        self._line = line

    @property
    def address(self) -> Address:
        host, port = self.udp.getsockname()
        return host, port

    def send(self, *packets: bytes) -> None:
        for packet in packets:
            self.udp.sendto(packet, ("127.0.0.1", self._line.port))

    def send_rtcp(self, *packets: bytes) -> None:
        for packet in packets:
            self.udp.sendto(packet, ("127.0.0.1", self._line.port + 1))


class Line:
    """`heard` is what was handed over since the last format."""

    def __init__(self, pool: PortPool) -> None:
        self.blocks: list[bytes] = []
        self.outputs: list[Output] = []
        self.ended = 0
        self.port = 0
        self.stream: RtpStream | None = None
        self._pool = pool
        self._peers: list[Peer] = []
        self._now = 0.0

    def peer(self, host: str = "127.0.0.1") -> Peer:
        self._peers.append(Peer(self, host))
        return self._peers[-1]

    def open(self, agreed: MediaFormat | None = None, on_block: Callable[[bytes], None] | None = None) -> RtpStream:
        pair = self._pool.take()
        self.port = pair.port
        self.stream = RtpStream(
            pair,
            agreed or media(),
            on_block=on_block or self.blocks.append,
            on_format=self.outputs.append,
            closed=self._closed,
            wall=time.time(),
            now=self._now,
        )
        return self.stream

    def turn(self, later: float = 0.0, *, control: bool = True) -> None:
        """The stream's turn, as if `later` seconds had passed since the last one.

        The kernel's clock, which stamps packets, can only be ahead.
        """
        assert self.stream
        self._now += later
        self.stream.turn(time.time() + self._now, self._now, control=control)

    @property
    def heard(self) -> bytes:
        return b"".join(self.blocks)

    def finish(self) -> None:
        if self.stream:
            self.stream.close()
        for peer in self._peers:
            peer.udp.close()

    def _closed(self, stream: RtpStream) -> None:
        assert stream is self.stream
        self.ended += 1
