"""The RTCP side of one stream: what the peer tells, what we report, and the figures for it."""

from __future__ import annotations

import base64
import random
import secrets

from voice_verify.telephony.rtp import rtcp
from voice_verify.telephony.rtp.reorder import Reorder

INTERVAL_S = 5.0
# RFC 7022, section 4.2: 96 random bits, one name for the sources of this process.
CNAME = base64.b64encode(secrets.token_bytes(12))


class Control:
    """Times are seconds of one clock, which may be set."""

    def __init__(self, order: Reorder, now: float) -> None:
        self._order = order
        self._ssrc = secrets.randbits(32)
        self._due = now + _interval()
        self._transit: float | None = None
        self._sender_report: tuple[rtcp.SenderReport, float] | None = None
        # At the last report, for the share that was lost since.
        self._expected_then = self._received_then = 0
        self.jitter_s = 0.0
        self.said_bye = False

    def arrived(self, timestamp: int, arrival: float, clock: int) -> None:
        """A packet with audio of the source in force (RFC 3550, A.8)."""
        # How long packets are on their way, by two clocks that run alike.
        transit = arrival - timestamp / clock
        if self._transit is not None:
            deviation = abs(transit - self._transit)
            # A timestamp that jumps, or wraps, is no jitter.
            if deviation < 1.0:
                self.jitter_s += (deviation - self.jitter_s) / 16
        self._transit = transit
        self.said_bye = False

    def restart(self) -> None:
        """Another source: nothing of the last one is known of it."""
        self._transit = self._sender_report = None
        self._expected_then = self._received_then = 0
        self.jitter_s = 0.0

    def take(self, data: bytes, now: float) -> bool:
        """Take a datagram with RTCP; False when it is none."""
        packets = rtcp.parse(data)
        if packets is None:
            return False
        for packet in packets:
            if isinstance(packet, rtcp.Bye):
                self.said_bye |= self._order.ssrc in packet.ssrcs
            elif packet.ssrc == self._order.ssrc:
                self._sender_report = packet, now
        return True

    def due(self, now: float) -> bool:
        """Whether it is time for a report: every 5 s, give or take half of it (6.3.1)."""
        if now < self._due and self._due - now < 2 * INTERVAL_S:
            return False
        self._due = now + _interval()
        return True

    def report(self, now: float, clock: int, *, bye: bool = False) -> bytes:
        """What we received so far, as a compound packet."""
        return rtcp.report(self._ssrc, CNAME, self._block(now, clock), bye=bye)

    def _block(self, now: float, clock: int) -> rtcp.ReportBlock | None:
        order = self._order
        if order.ssrc is None:
            return None
        expected, received = order.highest - order.first + 1, order.received
        # A.3: packets that came twice can make it negative, which counts as nothing lost.
        wanted, lost = expected - self._expected_then, expected - received
        lost_since = wanted - (received - self._received_then)
        self._expected_then, self._received_then = expected, received
        fraction = min(255, 256 * lost_since // wanted) if wanted > 0 and lost_since > 0 else 0
        middle = delay = 0
        if self._sender_report:
            report, when = self._sender_report
            middle, delay = report.middle, round(max(0.0, now - when) * 65_536) & 0xFFFFFFFF
        highest = order.highest & 0xFFFFFFFF
        return rtcp.ReportBlock(order.ssrc, fraction, lost, highest, round(self.jitter_s * clock), middle, delay)


def _interval() -> float:
    return INTERVAL_S * random.uniform(0.5, 1.5)  # noqa: S311
