"""SIP messages as text, for peers that do what no program would."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Peer:
    """A caller at `address`:`port` in one call to `service`."""

    service: str
    address: str
    port: int
    call_id: str = field(default_factory=lambda: secrets.token_hex(8))

    def request(self, method: str, branch: str, *, to_tag: str = "", transport: str = "UDP") -> bytes:
        """A request with sequence number 1 (BYE: 2); an INVITE holds an offer."""
        body = self.offer() if method == "INVITE" else ""
        lines = [
            f"{method} sip:voice@{self.service} SIP/2.0",
            f"Via: SIP/2.0/{transport} {self.address}:{self.port};branch={branch};rport",
            "Max-Forwards: 70",
            f"From: <sip:caller@{self.address}>;tag={self.call_id}",
            f"To: <sip:voice@{self.service}>" + (f";tag={to_tag}" if to_tag else ""),
            f"Call-ID: {self.call_id}",
            f"CSeq: {2 if method == 'BYE' else 1} {method}",
            f"Contact: <sip:caller@{self.address}:{self.port}>",
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        return "\r\n".join([*lines, "", body]).encode()

    def offer(self) -> str:
        return (
            f"v=0\r\no=- 1 1 IN IP4 {self.address}\r\ns=-\r\nc=IN IP4 {self.address}\r\nt=0 0\r\n"
            "m=audio 40000 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"
        )


def branch() -> str:
    """A new one, as RFC 3261 section 8.1.1.7 wants it."""
    return f"z9hG4bK{secrets.token_hex(8)}"
