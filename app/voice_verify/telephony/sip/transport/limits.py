"""What one peer, and all of them, may take of this process."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Connections that came in are limited in number and in how long they may say nothing; those we opened are not."""

    connections: int = 1000
    connections_a_source: int = 64
    # From the first byte of a message, or from the connection, to a whole message; the TLS handshake too.
    half_open_s: float = 10.0
    # Longer than the refresh of a session (RFC 4028: 1800 s), which is all that a quiet call sends.
    idle_s: float = 3600.0
    write_buffer_bytes: int = 1 << 20


class Census:
    """How many connections came in, from whom."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._sources: Counter[str] = Counter()

    @property
    def total(self) -> int:
        """Connections that are open."""
        return self._sources.total()

    def enter(self, source: str) -> str:
        """Take one in; or the name of the limit that forbids it."""
        if self.total >= self._limits.connections:
            return "total"
        if self._sources[source] >= self._limits.connections_a_source:
            return "source"
        self._sources[source] += 1
        return ""

    def leave(self, source: str) -> None:
        """One is closed."""
        self._sources[source] -= 1
        if not self._sources[source]:
            del self._sources[source]
