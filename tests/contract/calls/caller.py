"""A telephone of a few lines: SIP as text, and speech as RTP from a socket of its own."""

from __future__ import annotations

import base64
import re
import secrets
import socket
import ssl
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import numpy as np
import pylibsrtp
from numpy.typing import NDArray

from voice_verify.audio.g711 import decode_alaw

# Machines are busy; nobody waits that long for what comes.
ANSWER_S = 60.0
# Of one packet.
_PACKET_S = 0.02


@dataclass(frozen=True)
class Message:
    """What came: its first line, its headers (names in lower case, the last of each), its body."""

    start: str
    headers: dict[str, str]
    body: str

    @property
    def status(self) -> int:
        """0 for a request."""
        return int(self.start.split()[1]) if self.start.startswith("SIP/2.0 ") else 0

    @property
    def ports(self) -> list[int]:
        """Of the media lines."""
        return [int(port) for port in re.findall(r"^m=audio (\d+)", self.body, re.MULTILINE)]


def sdp(*ports: int, attributes: str = "sendrecv", formats: str = "8 0", key: bytes | None = None) -> str:
    """An offer with a line for each port; with a key it is SRTP."""
    protocol = "RTP/AVP" if key is None else "RTP/SAVP"
    if key is not None:
        attributes += f"\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{base64.b64encode(key).decode()}"
    lines = [
        f"m=audio {port} {protocol} {formats}\r\na=label:{number}\r\na={attributes}\r\n"
        for number, port in enumerate(ports, 1)
    ]
    return "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n" + "".join(lines)


class Caller:
    """One call to the SIP port of a service on the loopback."""

    def __init__(
        self, port: int, *, kind: socket.SocketKind = socket.SOCK_DGRAM, legs: int = 1, authority: Path | None = None
    ) -> None:
        """With the certificate of an `authority` it calls over TLS, and sends SRTP with `key`."""
        self._server = ("127.0.0.1", port)
        self._datagrams = kind is socket.SOCK_DGRAM
        self.sip = socket.socket(socket.AF_INET, kind)
        self.sip.bind(("127.0.0.1", 0))
        self.sip.connect(self._server)
        self.key = secrets.token_bytes(30)
        self._secret: pylibsrtp.Session | None = None
        if authority is not None:
            trusting = ssl.create_default_context(cafile=authority)
            self.sip = trusting.wrap_socket(self.sip, server_hostname="127.0.0.1")
            self._secret = pylibsrtp.Session(pylibsrtp.Policy(self.key, pylibsrtp.Policy.SSRC_ANY_OUTBOUND))
        self._stream = b""
        self.rtp = [_bound() for _ in range(legs)]
        self._sent = [0] * legs
        self.call_id = f"{uuid4()}@127.0.0.1"
        self._tag = uuid4().hex[:8]
        self._their_tag = ""
        self._cseq = 0
        self._branch = ""
        self.ports: list[int] = []

    def close(self) -> None:
        for one in (self.sip, *self.rtp):
            one.close()

    @property
    def rtp_ports(self) -> list[int]:
        return [one.getsockname()[1] for one in self.rtp]

    def send(self, method: str, body: str = "", *headers: str, content_type: str = "application/sdp") -> None:
        """A request; ACK and CANCEL belong to the one before them."""
        host, port = self.sip.getsockname()
        if method not in ("ACK", "CANCEL"):
            self._cseq += 1
        if method != "CANCEL":
            self._branch = f"z9hG4bK{uuid4().hex}"
        tag = f";tag={self._their_tag}" if self._their_tag else ""
        transport = "UDP" if self._datagrams else "TCP" if self._secret is None else "TLS"
        lines = [
            f"{method} sip:verify@127.0.0.1:{self._server[1]} SIP/2.0",
            f"Via: SIP/2.0/{transport} {host}:{port};branch={self._branch};rport",
            "Max-Forwards: 70",
            f"From: <sip:anna@example.com>;tag={self._tag}",
            f"To: <sip:verify@example.com>{tag}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {self._cseq} {method}",
            f"Contact: <sip:anna@{host}:{port}>",
            *headers,
            *([f"Content-Type: {content_type}"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        self.sip.sendall(("\r\n".join(lines) + "\r\n\r\n" + body).encode())

    def receive(self, seconds: float = ANSWER_S) -> Message:
        """The next message; raises TimeoutError."""
        self.sip.settimeout(seconds)
        data = self.sip.recv(65536) if self._datagrams else self._next_of_stream()
        head, _, body = data.decode().partition("\r\n\r\n")
        start, *lines = head.split("\r\n")
        pairs = (line.split(":", 1) for line in lines)
        return Message(start, {name.strip().lower(): value.strip() for name, value in pairs}, body)

    def answer_to(self, method: str) -> Message:
        """The final answer to the last request of that method; what else comes meanwhile is left unanswered."""
        deadline = time.monotonic() + ANSWER_S
        while time.monotonic() < deadline:
            message = self.receive()
            if message.status >= 200 and message.headers["cseq"] == f"{self._cseq} {method}":
                return message
        raise TimeoutError(method)

    def asked(self, method: str) -> Message:
        """The request of that method that the service sends, which gets its 200."""
        deadline = time.monotonic() + ANSWER_S
        while time.monotonic() < deadline:
            message = self.receive()
            if message.start.startswith(f"{method} "):
                copied = [f"{name}: {message.headers[name]}" for name in ("via", "from", "to", "call-id", "cseq")]
                self.sip.sendall("\r\n".join(["SIP/2.0 200 OK", *copied, "Content-Length: 0", "", ""]).encode())
                return message
        raise TimeoutError(method)

    def invite(self, body: str | None = None, *headers: str, content_type: str = "application/sdp") -> Message:
        """INVITE or re-INVITE, its final answer and the ACK."""
        offer = sdp(*self.rtp_ports) if body is None else body
        self.send("INVITE", offer, *headers, content_type=content_type)
        answer = self.answer_to("INVITE")
        if answer.status == 200:
            self._their_tag = answer.headers["to"].partition("tag=")[2]
            self.ports = answer.ports
        self.send("ACK")
        return answer

    def bye(self) -> Message:
        self.send("BYE")
        return self.answer_to("BYE")

    def say(self, *speech: NDArray[np.int16], speed: float = 4) -> None:
        """Speak on all legs at once, `speed` times as fast as people do."""
        payloads = [alaw(samples) for samples in speech]
        for start in range(0, max(map(len, payloads)), 160):
            for leg, payload in enumerate(payloads):
                self._packet(leg, payload[start : start + 160])
            time.sleep(_PACKET_S / speed)

    def _packet(self, leg: int, payload: bytes) -> None:
        number = self._sent[leg]
        self._sent[leg] += 1
        header = bytes([0x80, 8]) + (number & 0xFFFF).to_bytes(2, "big") + (number * 160).to_bytes(4, "big")
        packet = header + bytes([0, 0, 0, leg + 1]) + payload
        if self._secret is not None:
            packet = self._secret.protect(packet)
        with suppress(ConnectionRefusedError):
            self.rtp[leg].sendto(packet, ("127.0.0.1", self.ports[leg]))

    def _next_of_stream(self) -> bytes:
        while True:
            head, found, rest = self._stream.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: *(\d+)", head)
            size = int(length[1]) if length else 0
            if found and len(rest) >= size:
                self._stream = rest[size:]
                return head + found + rest[:size]
            data = self.sip.recv(65536)
            if not data:
                raise ConnectionError("the service closed the connection")
            self._stream += data


def alaw(samples: NDArray[np.int16]) -> bytes:
    """The codes that come nearest."""
    levels = decode_alaw(bytes(range(256))) * 32768
    order = np.argsort(levels)
    between = (levels[order][1:] + levels[order][:-1]) / 2
    return order[np.searchsorted(between, samples)].astype(np.uint8).tobytes()


def _bound() -> socket.socket:
    found = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    found.bind(("127.0.0.1", 0))
    return found


def metadata(names: Sequence[str]) -> str:
    """Whose voice is on which label."""
    content = "".join(
        f'<participant participant_id="p{label}"><nameID aor="sip:{label}@example.com"><name>{name}</name></nameID>'
        f'</participant><stream stream_id="s{label}"><label>{label}</label></stream>'
        f'<participantstreamassoc participant_id="p{label}"><send>s{label}</send></participantstreamassoc>'
        for label, name in enumerate(names, 1)
    )
    return f'<recording xmlns="urn:ietf:params:xml:ns:recording:1"><datamode>complete</datamode>{content}</recording>'
