"""One incoming stream: from the sockets of its ports to blocks of audio."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from voice_verify.telephony.rtp.codecs import Output
from voice_verify.telephony.rtp.control import Control
from voice_verify.telephony.rtp.latch import Latch
from voice_verify.telephony.rtp.media import Address, MediaFormat, rtcp_port
from voice_verify.telephony.rtp.packet import is_rtcp, parse
from voice_verify.telephony.rtp.ports import SO_RXQ_OVFL, SO_TIMESTAMPNS, PortPair
from voice_verify.telephony.rtp.reorder import Reorder
from voice_verify.telephony.rtp.srtp import SrtpFailure, SrtpSession
from voice_verify.telephony.rtp.stats import RtpStats
from voice_verify.telephony.rtp.timeline import Timeline

# 256 ms of G.711; nothing that is spoken comes in larger packets.
_DATAGRAM_BYTES = 2048
# Two seconds and a half of 20 ms packets: what a stall leaves behind is read at once, a flood is not.
_PACKETS_A_TURN = 128
_RTCP_A_TURN = 8
# A sender that is so far ahead of the clock does not send speech.
_MAX_AHEAD_S = 10.0
_TIMESPEC = struct.Struct("@qq")
_COUNT = struct.Struct("@I")
_ANCILLARY_BYTES = 64
_IPV4_IN_IPV6 = "::ffff:"


class RtpStream:
    """Made by RtpReceiver.open, which reads it. `wall` is the kernel's CLOCK_REALTIME, `now` never goes back."""

    def __init__(
        self,
        pair: PortPair,
        media: MediaFormat,
        *,
        on_block: Callable[[bytes], None],
        on_format: Callable[[Output], None],
        closed: Callable[[RtpStream], None],
        wall: float,
        now: float,
    ) -> None:
        self._pair = pair
        self._media = media
        self._closed = closed
        self._opened = self._heard = self._now = now
        self._wall = wall
        self._stats = RtpStats()
        self._latch = Latch(media.remote)
        self._timeline = Timeline(media.formats, self._stats, on_block, on_format)
        self._timeline.hold(media.held)
        self._order = Reorder(self._stats, self._timeline.place, self._switched)
        self._control = Control(self._order, wall)
        self._srtp = SrtpSession(media.srtp) if media.srtp else None
        self._rtcp_source: Address | None = None
        self._open = True

    @property
    def output(self) -> Output:
        """What the next block is, unless another format is told first."""
        return self._timeline.output

    @property
    def source(self) -> Address | None:
        """The address that audio is taken from; None before there was any."""
        return self._latch.source

    @property
    def silent_s(self) -> float:
        """Seconds since the peer was last heard, by RTP or RTCP; a hold that ended begins it anew."""
        return self._now - self._heard

    @property
    def said_bye(self) -> bool:
        """Whether the peer ended its stream by RTCP and sent nothing since."""
        return self._control.said_bye

    @property
    def stats(self) -> RtpStats:
        """The counts until now."""
        return replace(self._stats, jitter_s=self._control.jitter_s)

    def update(self, media: MediaFormat) -> None:
        """What another offer and answer agreed on; audio goes on where nothing changed."""
        if media.srtp is None:
            self._srtp = None
        elif media.srtp != self._media.srtp:
            self._srtp = SrtpSession(media.srtp, self._srtp)
        if media.remote != self._media.remote:
            self._rtcp_source = None
        if self._media.held and not media.held:
            # Nobody had to send until now.
            self._heard = self._now
        self._media = media
        self._latch.announce(media.remote)
        self._timeline.negotiate(media.formats)
        self._timeline.hold(media.held)

    def close(self) -> RtpStats:
        """Hand over the rest, say goodbye, give the ports back. Doing so again is harmless."""
        if self._open:
            self._open = False
            try:
                self._read()
                self._order.close()
                # Nothing after the rest, also when a consumer closes in the middle of a turn.
                self._timeline.hold(True)
                self._report(bye=True)
            finally:
                self._pair.close()
                self._closed(self)
        return self.stats

    def turn(self, wall: float, now: float, *, control: bool) -> None:
        """Read what came since the last turn, with `control` RTCP too."""
        self._wall, self._now = wall, now
        self._order.expire(self._read())
        if self._ahead_s <= 0:
            self._timeline.wait(now, self._heard)
        if control and self._open:
            self._read_control()
            if self._control.due(wall):
                self._report(bye=False)

    @property
    def _ahead_s(self) -> float:
        """How much more was handed over than there was time for."""
        return self._timeline.handed_s - (self._now - self._opened)

    def _read(self) -> float:
        """Until when all that came has been read.

        Earlier than the turn when a stall left more than that takes, later when the stall was in the turn itself.
        """
        arrival = self._wall
        flooded = self._ahead_s > _MAX_AHEAD_S
        for _ in range(_PACKETS_A_TURN):
            try:
                data, ancillary, flags, source = self._pair.rtp.recvmsg(_DATAGRAM_BYTES, _ANCILLARY_BYTES)
            except OSError:
                return max(arrival, self._wall)
            arrival = self._arrival(ancillary)
            if flooded:
                self._stats.flooded += 1
            elif flags:
                # Cut off: nothing of ours is so long.
                self._stats.malformed += 1
            else:
                self._take(data, arrival, _plain(source))
        return arrival

    def _read_control(self) -> None:
        for _ in range(_RTCP_A_TURN):
            try:
                data, source = self._pair.rtcp.recvfrom(_DATAGRAM_BYTES)
            except OSError:
                break
            self._take_rtcp(data, _plain(source))

    def _arrival(self, ancillary: list[tuple[int, int, bytes]]) -> float:
        arrival = self._wall
        for _, kind, value in ancillary:
            if kind == SO_TIMESTAMPNS:
                seconds, nanoseconds = _TIMESPEC.unpack(value)
                arrival = seconds + nanoseconds * 1e-9
            elif kind == SO_RXQ_OVFL:
                # The socket's own count, which only grows.
                self._stats.overflowed = _COUNT.unpack(value)[0]
        return arrival

    def _take(self, data: bytes, arrival: float, source: Address) -> None:
        if is_rtcp(data):
            self._take_rtcp(data, source)
            return
        latch = self._latch
        if self._srtp:
            try:
                data = self._srtp.rtp(data)
            except SrtpFailure:
                self._stats.srtp_failures += 1
                return
        elif source != latch.source and not latch.admits(source, arrival):
            self._stats.foreign += 1
            return
        packet = parse(data)
        if packet is None:
            self._stats.malformed += 1
            return
        if not self._order.push(packet, arrival, source, rival=source != latch.source):
            return
        latch.lock(source, arrival)
        self._heard = self._now
        if packet.payload_type in self._timeline.audible:
            self._control.arrived(packet.timestamp, arrival, self._timeline.clock)

    def _switched(self, source: Address) -> None:
        """A source proved itself."""
        self._latch.lock(source, self._wall)
        self._heard = self._now
        self._control.restart()
        self._timeline.restart()

    def _take_rtcp(self, data: bytes, source: Address) -> None:
        if self._srtp:
            try:
                data = self._srtp.rtcp(data)
            except SrtpFailure:
                self._stats.srtp_failures += 1
                return
        elif not self._latch.knows_host(source[0]):
            self._stats.foreign += 1
            return
        if not self._control.take(data, self._wall):
            self._stats.malformed += 1
            return
        self._stats.rtcp += 1
        self._rtcp_source = source
        self._heard = self._now

    def _report(self, *, bye: bool) -> None:
        target = self._report_target()
        if target is None:
            return
        packet = self._control.report(self._wall, self._timeline.clock, bye=bye)
        if self._srtp:
            packet = self._srtp.protect_rtcp(packet)
        udp = self._pair.rtp if self._media.rtcp_mux else self._pair.rtcp
        # Best effort: a full buffer, or an address that cannot be reached, costs one report.
        with suppress(OSError):
            udp.sendto(packet, _towards(udp, target))

    def _report_target(self) -> Address | None:
        """Where the peer's RTCP comes from; else next to its audio when NAT moved that, else where the SDP says."""
        source, remote = self._latch.source, self._media.remote
        if self._media.rtcp_mux and source:
            return source
        if self._rtcp_source:
            return self._rtcp_source
        if source and source != remote:
            return rtcp_port(source)
        return self._media.rtcp_address


def _plain(source: tuple[Any, ...]) -> Address:
    """Where a datagram came from, as an SDP says it: IPv4 also where the socket takes both families."""
    host, port = source[:2]
    return host.removeprefix(_IPV4_IN_IPV6), port


def _towards(udp: socket.socket, target: Address) -> Address:
    """The other way round."""
    host, port = target
    return (_IPV4_IN_IPV6 + host if udp.family == socket.AF_INET6 and ":" not in host else host), port
