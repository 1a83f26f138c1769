"""A SIPREC recording client (RFC 7866) with two participants, each a stream of its own.

It knows nothing of the service's code: the messages are written out as the RFCs show them.
"""

from __future__ import annotations

import base64
import re
import secrets
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID, uuid4

import numpy as np
from numpy.typing import NDArray

from . import pcap
from .network import Host

ANSWER_S = 10
RETRANSMIT_S = 0.5
RECORDING = "urn:ietf:params:xml:ns:recording:1"
BOUNDARY = "between-the-parts"


@dataclass(frozen=True)
class Participant:
    """Who speaks on one stream; `speech` is 8 kHz."""

    name: str
    address: str
    stream: UUID
    speech: NDArray[np.int16]


class Recording:
    """A recording session from `host` to `target` (address, port) over UDP."""

    def __init__(self, host: Host, target: tuple[str, int], participants: Sequence[Participant]) -> None:
        self._target = target
        self._participants = participants
        self._address = host.address
        self._signalling = host.socket()
        self._media = [host.socket() for _ in participants]
        self._call_id = uuid4().hex
        self._tag = secrets.token_hex(4)
        self._to_tag = ""
        self._sequence = 0
        self._talking = threading.Event()
        self._threads: list[threading.Thread] = []
        self.answer = ""

    def start(self) -> None:
        """Invite the recording server with the offer and the metadata in one body (RFC 7866 section 9.1)."""
        status, self.answer = self._ask("INVITE", self._body(), f"multipart/mixed;boundary={BOUNDARY}")
        assert status == 200, self.answer
        self._send("ACK", self._sequence)
        self._talking.set()
        ports = [int(port) for port in re.findall(r"^m=audio (\d+)", self.answer, re.MULTILINE)]
        address = re.findall(r"^c=IN IP4 (\S+)", self.answer, re.MULTILINE)[-1].strip()
        assert len(ports) == len(self._participants), self.answer
        for participant, own, port in zip(self._participants, self._media, ports, strict=True):
            thread = threading.Thread(target=self._talk, args=(participant, own, (address, port)), daemon=True)
            self._threads.append(thread)
            thread.start()

    def finish(self) -> None:
        """Let everybody say all of it, and end the session."""
        for thread in self._threads:
            thread.join()
        self.stop()

    def stop(self) -> None:
        """End the session now."""
        self._talking.clear()
        for thread in self._threads:
            thread.join()
        status, answer = self._ask("BYE")
        assert status == 200, answer
        for each in (self._signalling, *self._media):
            each.close()

    def _talk(self, participant: Participant, own: socket.socket, remote: tuple[str, int]) -> None:
        ssrc = secrets.randbits(32)
        begun = time.monotonic()
        audio = pcap.g711(participant.speech, pcap.Payload.PCMA)
        for number, packet in enumerate(pcap.packets(audio, pcap.Payload.PCMA, ssrc=ssrc)):
            time.sleep(max(0.0, begun + number * pcap.PACKET_S - time.monotonic()))
            if not self._talking.is_set():
                return
            own.sendto(packet, remote)

    def _ask(self, method: str, body: str = "", content_type: str = "") -> tuple[int, str]:
        """Send a request until its final response comes; returns its status and text."""
        self._sequence += 1
        message = self._message(method, self._sequence, body, content_type)
        deadline = time.monotonic() + ANSWER_S
        while time.monotonic() < deadline:
            self._signalling.sendto(message, self._target)
            self._signalling.settimeout(RETRANSMIT_S)
            with suppress(TimeoutError):
                while True:
                    answer = self._signalling.recv(65535).decode()
                    status = int(answer.split()[1])
                    if f"CSeq: {self._sequence} {method}" in answer and status >= 200:
                        tag = re.search(r"^To:.*;tag=([^;\s]+)", answer, re.MULTILINE)
                        self._to_tag = tag[1] if tag else self._to_tag
                        return status, answer
        raise AssertionError(f"no answer to {method}")

    def _send(self, method: str, sequence: int) -> None:
        self._signalling.sendto(self._message(method, sequence, "", ""), self._target)

    def _message(self, method: str, sequence: int, body: str, content_type: str) -> bytes:
        host, port = self._target
        own = f"{self._address}:{self._signalling.getsockname()[1]}"
        lines = [
            f"{method} sip:srs@{host}:{port} SIP/2.0",
            f"Via: SIP/2.0/UDP {own};branch=z9hG4bK{secrets.token_hex(8)};rport",
            "Max-Forwards: 70",
            f"From: <sip:src@{self._address}>;tag={self._tag}",
            f"To: <sip:srs@{host}>" + (f";tag={self._to_tag}" if self._to_tag else ""),
            f"Call-ID: {self._call_id}",
            f"CSeq: {sequence} {method}",
            f"Contact: <sip:src@{own}>;+sip.src",
        ]
        if body:
            lines += ["Require: siprec", "Accept: application/sdp, application/rs-metadata"]
            lines.append(f"Content-Type: {content_type}")
        return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", body]).encode()

    def _body(self) -> str:
        parts = [
            ("Content-Type: application/sdp", self._offer()),
            (
                "Content-Type: application/rs-metadata+xml\r\nContent-Disposition: recording-session",
                self._metadata(),
            ),
        ]
        written = "".join(f"--{BOUNDARY}\r\n{headers}\r\n\r\n{content}\r\n" for headers, content in parts)
        return f"{written}--{BOUNDARY}--\r\n"

    def _offer(self) -> str:
        session = f"v=0\r\no=src 1 1 IN IP4 {self._address}\r\ns=-\r\nc=IN IP4 {self._address}\r\nt=0 0\r\n"
        media = (
            f"m=audio {own.getsockname()[1]} RTP/AVP 8 0\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n"
            f"a=label:{label}\r\na=sendonly\r\n"
            for label, own in enumerate(self._media, 1)
        )
        return session + "".join(media)

    def _metadata(self) -> str:
        """Who sends which stream (RFC 7865): identifiers are base64 of their octets."""
        session = _identifier(uuid4())
        people, streams, sent = "", "", ""
        for label, participant in enumerate(self._participants, 1):
            person, stream = _identifier(uuid4()), _identifier(participant.stream)
            people += (
                f'<participant participant_id="{person}"><nameID aor="{participant.address}">'
                f'<name xml:lang="en">{participant.name}</name></nameID></participant>'
            )
            streams += f'<stream stream_id="{stream}" session_id="{session}"><label>{label}</label></stream>'
            sent += f'<participantstreamassoc participant_id="{person}"><send>{stream}</send></participantstreamassoc>'
        return (
            f'<?xml version="1.0" encoding="UTF-8"?>\r\n<recording xmlns="{RECORDING}"><datamode>complete</datamode>'
            f'<session session_id="{session}"/>{people}{streams}{sent}</recording>'
        )


def _identifier(uuid: UUID) -> str:
    return base64.b64encode(uuid.bytes).decode()
