"""What is counted of a stream, or of all of them together."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass
class RtpStats:
    """Counts of packets since the stream was opened.

    `lost`: its place was given to silence. `late`: one of the lost that came after that. `reordered`: came after a
    later one, but in time. `malformed`: no RTP, or no payload that its codec decodes. `unknown_format`: a payload
    type that was not negotiated. `foreign`: from an address that is not the peer's. `unconfirmed`: of a source, or at
    a sequence number, that no second packet followed. `srtp_failures`: did not authenticate, or was replayed.
    `flooded`: faster than audio can be. `overflowed`: dropped by the kernel because we did not read in time. `jumps`:
    times that the timestamp left the clock. `restarts`: times that the source or its numbering changed. `rtcp`: RTCP
    packets taken. `jitter_s`: RFC 3550 A.8, in seconds.
    """

    packets: int = 0
    lost: int = 0
    late: int = 0
    duplicates: int = 0
    reordered: int = 0
    malformed: int = 0
    unknown_format: int = 0
    foreign: int = 0
    unconfirmed: int = 0
    srtp_failures: int = 0
    flooded: int = 0
    overflowed: int = 0
    jumps: int = 0
    restarts: int = 0
    rtcp: int = 0
    jitter_s: float = 0.0

    def add(self, other: RtpStats) -> None:
        """Add the counts of `other`; of the jitter keep the higher."""
        for field in fields(self):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            setattr(self, field.name, max(mine, theirs) if field.name == "jitter_s" else mine + theirs)
