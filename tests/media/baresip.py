"""baresip as an ordinary phone: it registers where it is told to, calls, and talks from a recording."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from .network import Host

SPEECH_RATE = 8000
# Recordings are given at the rate of the codec: baresip's own resampler takes away all above 2 kHz.
RATES = {"g722": 16_000, "opus": 48_000}
START_S = 20
EVENT_S = 20
CONTROL = 4444
CONFIGURATION = """\
poll_method epoll
call_max_calls 4
audio_player aubridge,nowhere
audio_source aufile,{speech}
audio_alert aubridge,nowhere
audio_level no
ausrc_srate {rate}
ausrc_channels 1
auplay_srate {rate}
auplay_channels 1
ausrc_format s16
auplay_format s16
auenc_format s16
audec_format s16
jitter_buffer_delay 5-10
sip_cafile {authority}
module_path /usr/lib/baresip/modules
module g711.so
module g722.so
module opus.so
module srtp.so
module aufile.so
module aubridge.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen {address}:{control}
"""


class Phone:
    """A phone on `host` that says `speech` (8 kHz) in each of its calls."""

    def __init__(
        self,
        folder: Path,
        host: Host,
        speech: NDArray[np.int16],
        *,
        account: str,
        authority: Path | None = None,
    ) -> None:
        """`account` is a line of baresip's accounts file; `authority` is whose certificates it trusts."""
        folder.mkdir(parents=True, exist_ok=True)
        rate = next((rate for codec, rate in RATES.items() if codec in account), SPEECH_RATE)
        said = soxr.resample(speech, SPEECH_RATE, rate)
        soundfile.write(folder / "speech.wav", said, rate, subtype="PCM_16")
        values = {"speech": folder / "speech.wav", "rate": rate, "address": host.address, "control": CONTROL}
        (folder / "config").write_text(CONFIGURATION.format(**values, authority=authority or ""))
        (folder / "accounts").write_text(f"{account}\n")
        (folder / "contacts").touch()
        self._output = folder / "output"
        with self._output.open("wb") as output:
            self._process = host.popen(["baresip", "-4", "-s", "-f", str(folder)], stdout=output, stderr=output)
        self._control = self._connect(host)
        self._received = bytearray()
        self._events: deque[dict[str, Any]] = deque()

    def call(self, uri: str) -> None:
        """Call and wait until the other side answered."""
        self.dial(uri)
        self.wait("CALL_ESTABLISHED")

    def dial(self, uri: str) -> None:
        self._command("dial", uri)

    def hang_up(self) -> None:
        self._command("hangup")
        self.wait("CALL_CLOSED")

    def wait(self, kind: str) -> dict[str, Any]:
        """The next event of that kind; those before it are forgotten."""
        deadline = time.monotonic() + EVENT_S
        seen = []
        while time.monotonic() < deadline:
            self._receive(deadline - time.monotonic())
            while self._events:
                event = self._events.popleft()
                if event.get("type") == kind:
                    return event
                seen.append(event.get("type"))
        raise AssertionError(f"no event {kind} among {seen}:\n{self.output()[-4000:]}")

    def output(self) -> str:
        """All that it said, with the SIP messages."""
        return self._output.read_text(errors="replace")

    def stop(self) -> None:
        """Unregister and end; again is harmless."""
        self._control.close()
        self._process.terminate()
        try:
            self._process.wait(timeout=START_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _connect(self, host: Host) -> socket.socket:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            assert self._process.poll() is None, f"baresip ended:\n{self.output()}"
            with suppress(OSError):
                return socket.create_connection((host.address, CONTROL), timeout=1)
            time.sleep(0.05)
        raise AssertionError(f"baresip did not start:\n{self.output()}")

    def _command(self, command: str, parameters: str = "") -> None:
        document = json.dumps({"command": command, "params": parameters})
        self._control.sendall(f"{len(document)}:{document},".encode())

    def _receive(self, seconds: float) -> None:
        """Take what came as events: netstrings of JSON."""
        self._control.settimeout(max(0.01, seconds))
        with suppress(TimeoutError):
            self._received += self._control.recv(65536)
        while b":" in self._received:
            length, _, rest = self._received.partition(b":")
            size = int(length)
            if len(rest) <= size:
                return
            document = json.loads(bytes(rest[:size]))
            if document.get("event"):
                self._events.append(document)
            del self._received[: len(length) + 1 + size + 1]
