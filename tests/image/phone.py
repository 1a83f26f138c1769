"""A telephone that calls the appliance by SIP over UDP and speaks A-law: raw messages, and no stack of ours."""

from __future__ import annotations

import io
import re
import socket
import threading
import time
from types import TracebackType
from typing import Self

import numpy as np
import soundfile

# An RTP packet has 20 ms.
PACKET_S, PACKET_BYTES = 0.02, 160
# Payload type of PCMA (RFC 3551, section 6).
PCMA = 8
# Between retransmissions of what is not answered (RFC 3261, section 17.1.1.2, kept simple).
REPEAT_S = 1.0


class Phone:
    """Calls from `host`, an address of this machine, to `server`. Raises TimeoutError when nobody answers in time."""

    def __init__(self, host: str, server: tuple[str, int], *, patience_s: float) -> None:
        self._host, self._patience_s = host, patience_s
        self._sip, self._rtp = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        for one in (self._sip, self._rtp):
            one.bind((host, 0))
        self._sip.connect(server)
        self._sip.settimeout(REPEAT_S)
        self._hung_up = threading.Event()
        self._speaking: threading.Thread | None = None
        self._dialog: list[str] = []
        self._target = f"sip:verify@{server[0]}"
        self._to = f"To: <sip:verify@{server[0]}>"
        self._sequence = 0
        self._call_id = f"Call-ID: {time.monotonic_ns()}@{host}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hung_up.set()
        if self._speaking:
            self._speaking.join()
        self._sip.close()
        self._rtp.close()

    def call(self, uuid: str) -> None:
        """Have the call answered, as the stream `uuid`; while the machine is busy, once more when it says."""
        offer = ["v=0", f"o=- 1 1 IN IP4 {self._host}", "s=-", f"c=IN IP4 {self._host}", "t=0 0"]
        offer += [f"m=audio {self._rtp.getsockname()[1]} RTP/AVP {PCMA}", ""]
        headers = [f"X-Stream-UUID: {uuid}", "Content-Type: application/sdp"]
        deadline = time.monotonic() + self._patience_s
        answer = self.ask("INVITE", headers, "\r\n".join(offer))
        while answer.startswith("SIP/2.0 486") and time.monotonic() < deadline:
            time.sleep(float(_found(r"(?m)^Retry-After: (\d+)", answer)))
            answer = self.ask("INVITE", headers, "\r\n".join(offer))
        assert answer.startswith("SIP/2.0 200"), answer
        # RFC 3261, section 12.1.2.
        self._dialog = [f"Route: {route}" for route in reversed(re.findall(r"(?m)^Record-Route: (.*?)\r?$", answer))]
        self._to = _found(r"(?m)^(To: .*?)\r?$", answer)
        self._target = _found(r"(?m)^Contact: <(.*?)>", answer)
        # The ACK of a 2xx is a transaction of its own (RFC 3261, section 13.2.2.4).
        self._say("ACK")
        self._rtp.connect((_found(r"(?m)^c=IN IP4 (\S+)", answer), int(_found(r"(?m)^m=audio (\d+)", answer))))

    def speak(self, samples: bytes) -> None:
        """Say 16-bit samples at the pace of a call, beside what the caller of this does; then be silent."""
        self._speaking = threading.Thread(target=self._stream, args=(_alaw(samples),))
        self._speaking.start()

    def hang_up(self) -> None:
        self._hung_up.set()
        answer = self.ask("BYE")
        assert answer.startswith("SIP/2.0 200"), answer

    def _stream(self, encoded: bytes) -> None:
        silence = _alaw(bytes(2 * PACKET_BYTES))
        began = time.monotonic()
        number = 0
        while not self._hung_up.wait(max(0.0, began + number * PACKET_S - time.monotonic())):
            header = bytes([0x80, PCMA]) + (number & 0xFFFF).to_bytes(2, "big")
            header += (number * PACKET_BYTES).to_bytes(4, "big") + b"call"
            payload = encoded[number * PACKET_BYTES : (number + 1) * PACKET_BYTES]
            self._rtp.send(header + (payload if len(payload) == PACKET_BYTES else silence))
            number += 1

    def ask(self, method: str, headers: list[str] | None = None, body: str = "") -> str:
        """The final answer, asking again until it comes."""
        self._sequence += 1
        deadline = time.monotonic() + self._patience_s
        while time.monotonic() < deadline:
            self._say(method, headers, body)
            answer = self._hear(f"CSeq: {self._sequence} {method}", deadline)
            if answer:
                if method == "INVITE" and not answer.startswith("SIP/2.0 2"):
                    # Of any other answer it belongs to the INVITE's (section 17.1.1.3).
                    self._say("ACK", branch="INVITE", to=_found(r"(?m)^(To: .*?)\r?$", answer))
                return answer
        raise TimeoutError(f"no answer to {method}")

    def _hear(self, what: str, deadline: float) -> str:
        """The final answer with the line `what`; empty when nothing came for a while and not even 100 before."""
        provisional = False
        while time.monotonic() < deadline:
            try:
                message = self._sip.recv(65535).decode()
            except TimeoutError:
                if provisional:
                    continue
                return ""
            if what in message:
                if not message.startswith("SIP/2.0 1"):
                    return message
                provisional = True
        return ""

    def _say(
        self, method: str, headers: list[str] | None = None, body: str = "", *, branch: str = "", to: str = ""
    ) -> None:
        host, port = self._sip.getsockname()
        branch = f"z9hG4bK{branch or method}{self._sequence}{self._call_id[9 : -len(host) - 1]}"
        lines = [
            f"{method} {self._target} SIP/2.0",
            f"Via: SIP/2.0/UDP {host}:{port};rport;branch={branch}",
            "Max-Forwards: 70",
            *self._dialog,
            f"From: <sip:caller@{host}>;tag=caller",
            to or self._to,
            self._call_id,
            f"CSeq: {self._sequence} {method}",
            f"Contact: <sip:caller@{host}:{port}>",
            *(headers or []),
            f"Content-Length: {len(body)}",
        ]
        self._sip.send(("\r\n".join(lines) + "\r\n\r\n" + body).encode())


def _alaw(samples: bytes) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.frombuffer(samples, np.int16), 8000, format="RAW", subtype="ALAW")
    return file.getvalue()


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match, text
    return match[1]
