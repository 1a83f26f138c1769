"""Sources that are not believed yet: one packet may be anybody's, two in sequence are a stream (RFC 3550, A.1)."""

from __future__ import annotations

from dataclasses import dataclass, field

from voice_verify.telephony.rtp.media import Address
from voice_verify.telephony.rtp.packet import Packet

# A packet late on a bad line is still in time, and nobody waits for the audio.
PATIENCE_S = 0.2
# Packets come while others are read, so they can be a little younger than the time of the turn, but not so much.
_CLOCK_SET_BACK_S = 1.0
# More strangers than can be read between two packets of a peer do not push it out.
_MAX_SOURCES = 64
_MAX_PACKETS = 256


def too_late(arrival: float, now: float) -> bool:
    """Whether nothing that belongs before a packet is waited for any more; also when the clock was set back."""
    return not -_CLOCK_SET_BACK_S < now - arrival < PATIENCE_S


@dataclass
class Candidate:
    """Packets of one SSRC by sequence number. `outvoted`: packets that the source in force sent meanwhile."""

    since: float
    source: Address
    rival: bool
    packets: dict[int, tuple[Packet, float]] = field(default_factory=dict)
    outvoted: int = 0

    @property
    def convinces(self) -> bool:
        """Two in sequence, and the source in force went quiet or is somebody else's."""
        in_sequence = any((number + 1) & 0xFFFF in self.packets for number in self.packets)
        return in_sequence and (self.rival or 2 * self.outvoted < len(self.packets))

    def in_order(self) -> list[tuple[Packet, float]]:
        """All its packets, oldest number first."""
        anchor = next(iter(self.packets))
        return [
            self.packets[number]
            for number in sorted(self.packets, key=lambda number: (number - anchor + 0x8000) & 0xFFFF)
        ]


class Probation:
    """A candidate is decided on PATIENCE_S after its first packet, so that its first packets may be reordered too."""

    def __init__(self) -> None:
        self._candidates: dict[int, Candidate] = {}

    def __len__(self) -> int:
        return len(self._candidates)

    def add(self, packet: Packet, arrival: float, source: Address, *, rival: bool) -> int:
        """Keep a packet; tells how many were given up for it."""
        given_up = 0
        candidate = self._candidates.get(packet.ssrc)
        if candidate is None:
            if len(self._candidates) >= _MAX_SOURCES:
                weakest = min(self._candidates, key=lambda ssrc: len(self._candidates[ssrc].packets))
                given_up = len(self._candidates.pop(weakest).packets)
            candidate = self._candidates[packet.ssrc] = Candidate(arrival, source, rival)
        if len(candidate.packets) >= _MAX_PACKETS or packet.sequence in candidate.packets:
            return given_up + 1
        candidate.packets[packet.sequence] = packet, arrival
        return given_up

    def outvote(self) -> None:
        """The source in force sent a packet."""
        for candidate in self._candidates.values():
            candidate.outvoted += 1

    def decide(self, now: float) -> tuple[Candidate | None, int]:
        """The candidate to believe now, if there is one, and how many packets of others were given up."""
        given_up = 0
        for ssrc, candidate in list(self._candidates.items()):
            if not too_late(candidate.since, now):
                continue
            del self._candidates[ssrc]
            if candidate.convinces:
                return candidate, given_up
            given_up += len(candidate.packets)
        return None, given_up

    def clear(self) -> int:
        """Forget all; tells how many packets that were."""
        given_up = sum(len(candidate.packets) for candidate in self._candidates.values())
        self._candidates.clear()
        return given_up
