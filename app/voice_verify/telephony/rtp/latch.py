"""Which address audio is taken from: symmetric RTP without a door for hijackers."""

from __future__ import annotations

from voice_verify.telephony.rtp.media import Address

# A phone that pauses between words is not gone; one that moved to another network is heard again soon.
SILENT_S = 3.0


class Latch:
    """Behind NAT the SDP does not tell the address, so the first source with valid audio is locked.

    Others are refused until it was silent for SILENT_S, but the address of the SDP may always take over.
    """

    def __init__(self, announced: Address | None) -> None:
        self._announced = announced
        self.source: Address | None = None
        self._heard = 0.0

    def announce(self, address: Address | None) -> None:
        """A new SDP: when it names another address, the lock is off."""
        if address != self._announced:
            self._announced = address
            self.source = None

    def admits(self, source: Address, now: float) -> bool:
        """Whether a packet may be looked at that came from `source` at `now` (seconds)."""
        return self.source in (None, source) or source == self._announced or now - self._heard > SILENT_S

    def lock(self, source: Address, now: float) -> None:
        """Audio was taken from `source` at `now`."""
        self.source = source
        self._heard = now

    def knows_host(self, host: str) -> bool:
        """Whether RTCP from there may be the peer's."""
        return host in {address[0] for address in (self.source, self._announced) if address}
