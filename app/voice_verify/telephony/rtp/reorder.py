"""The order of packets: by sequence number, with patience for the late and none for strangers (RFC 3550, A.1)."""

from __future__ import annotations

from collections.abc import Callable

from voice_verify.telephony.rtp.media import Address
from voice_verify.telephony.rtp.packet import Packet
from voice_verify.telephony.rtp.probation import Candidate, Probation, too_late
from voice_verify.telephony.rtp.stats import RtpStats

_MAX_WAITING = 64
# RFC 3550, A.1: beyond these the numbering has changed.
_MAX_DROPOUT = 3000
_MAX_MISORDER = 100

Deliver = Callable[[Packet, float, int], None]
"""Takes the next packet, its time of arrival and how many were lost just before it."""


class Reorder:
    """Packets of one source at a time. `first`, `expected` and `highest` are sequence numbers that never wrap."""

    def __init__(self, stats: RtpStats, deliver: Deliver, switched: Callable[[Address], None]) -> None:
        """`switched` is called before the first packet of another source, or numbering, is delivered."""
        self._stats = stats
        self._deliver = deliver
        self._switched = switched
        self._probation = Probation()
        self._waiting: dict[int, tuple[Packet, float]] = {}
        self._missed: set[int] = set()
        self.ssrc: int | None = None
        self.first = self.expected = self.highest = 0
        self.received = 0

    def push(self, packet: Packet, arrival: float, source: Address, *, rival: bool) -> bool:
        """Take a packet; False when it has to prove itself first.

        `rival`: it is from another address than the audio so far, and the packets from there do not speak for it.
        """
        if packet.ssrc == self.ssrc:
            delta = ((packet.sequence - self.expected + 0x8000) & 0xFFFF) - 0x8000
            if -_MAX_MISORDER <= delta < _MAX_DROPOUT:
                if self._probation:
                    self._probation.outvote()
                self._place(self.expected + delta, packet, arrival)
                return True
        self._stats.unconfirmed += self._probation.add(packet, arrival, source, rival=rival)
        self._decide(arrival)
        return False

    def expire(self, now: float) -> None:
        """Once a tick: give up what is too late, decide on who is new."""
        while self._waiting:
            number = min(self._waiting)
            if len(self._waiting) <= _MAX_WAITING and not too_late(self._waiting[number][1], now):
                break
            self._skip_to(number)
        if self._probation:
            self._decide(now)

    def flush(self) -> None:
        """Deliver whatever waits."""
        while self._waiting:
            self._skip_to(min(self._waiting))

    def close(self) -> None:
        """The end: the last packets are delivered, those of a source too short to be decided on as well."""
        self._decide(float("inf"))
        self.flush()
        self._stats.unconfirmed += self._probation.clear()

    def _place(self, number: int, packet: Packet, arrival: float) -> None:
        stats = self._stats
        stats.packets += 1
        self.received += 1
        if number < self.expected:
            if number in self._missed:
                self._missed.remove(number)
                stats.late += 1
            else:
                stats.duplicates += 1
            return
        if number > self.highest:
            self.highest = number
        elif number in self._waiting:
            stats.duplicates += 1
            return
        else:
            stats.reordered += 1
        if number > self.expected:
            self._waiting[number] = packet, arrival
            return
        self.expected += 1
        self._deliver(packet, arrival, 0)
        if self._waiting:
            self._go_on()

    def _go_on(self) -> None:
        """Deliver what waits without a gap."""
        while (waiting := self._waiting.pop(self.expected, None)) is not None:
            self.expected += 1
            self._deliver(*waiting, 0)

    def _skip_to(self, number: int) -> None:
        lost = number - self.expected
        self._stats.lost += lost
        self._missed = {missed for missed in self._missed if missed >= number - _MAX_MISORDER}
        self._missed.update(range(max(self.expected, number - _MAX_MISORDER), number))
        packet, arrival = self._waiting.pop(number)
        self.expected = number + 1
        self._deliver(packet, arrival, lost)
        self._go_on()

    def _decide(self, now: float) -> None:
        candidate, given_up = self._probation.decide(now)
        self._stats.unconfirmed += given_up
        if candidate:
            self._switch(candidate)

    def _switch(self, candidate: Candidate) -> None:
        self.flush()
        if self.ssrc is not None:
            self._stats.restarts += 1
        self._switched(candidate.source)
        self._missed.clear()
        packets = candidate.in_order()
        first = packets[0][0]
        self.ssrc = first.ssrc
        self.first = self.expected = first.sequence
        self.highest = self.expected - 1
        self.received = 0
        for packet, arrival in packets:
            self._place(first.sequence + ((packet.sequence - first.sequence) & 0xFFFF), packet, arrival)
