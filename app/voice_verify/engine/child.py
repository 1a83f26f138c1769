"""The engine process as its parent sees it: started with a socket, written to without waiting, ended for good."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from voice_verify.engine.encoding import Encoding
from voice_verify.engine.protocol import Kind, Message, Parser, ProtocolError, pack, pack_clock

MAX_UNSENT_BYTES = 32 << 20
"""Half a minute of PCM of 60 streams: the process hangs, or is being replaced."""
# Frames of many streams go in one write; a caller hears nothing of so short a wait.
_GATHER_S = 0.05
_PART_BYTES = 1 << 18
_READ_BYTES = 1 << 18
_END_S = 5.0

_ENVIRONMENT = {
    # glibc gives memory back between two inferences and asks for it again: 2 to 4 times slower.
    "MALLOC_TOP_PAD_": str(64 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
    "MALLOC_MMAP_THRESHOLD_": str(256 << 20),
    # Our threads each compute a batch; more of them inside a matrix product only get in their way.
    "OPENBLAS_NUM_THREADS": "1",
}


class ConnectionLost(Exception):
    """The process ended, closed its end of the socket or sent what is no message."""


class Child:
    """One engine process. Sending only queues; a thread of its own writes."""

    def __init__(self, model_dir: Path, threads: int) -> None:
        """Start it; raises OSError when that is impossible."""
        self._socket, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", "voice_verify.engine.host"]
            self._process = subprocess.Popen(
                [*command, str(theirs.fileno()), str(model_dir), str(threads)],
                pass_fds=[theirs.fileno()],
                env={**os.environ, **_ENVIRONMENT},
                stdin=subprocess.DEVNULL,
            )
        self._parser = Parser()
        # A plain lock: it is taken for every frame.
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._messages: list[bytes] = []
        self._unsent_bytes = 0
        # When the first of those was queued that are being written, and of those that wait.
        self._writing_since: float | None = None
        self._queued_since: float | None = None
        self._recordings: deque[Iterator[bytes]] = deque()
        self._closed = False
        self._writer = threading.Thread(target=self._write, name="to-engine", daemon=True)
        self._writer.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def unsent_s(self) -> float:
        """How long the oldest message that is not written yet has waited."""
        since = self._writing_since or self._queued_since
        return 0.0 if since is None else time.monotonic() - since

    @property
    def is_full(self) -> bool:
        """Whether so much waits that no more audio should be sent."""
        return self._unsent_bytes > MAX_UNSENT_BYTES

    def send(self, message: bytes) -> None:
        """Queue a message; never waits. After the end it goes nowhere."""
        with self._lock:
            self._messages.append(message)
            self._unsent_bytes += len(message)
            if self._queued_since is None:
                self._queued_since = time.monotonic()
                self._changed.notify()

    def send_recording(self, number: int, samples: memoryview) -> None:
        """Queue a recording of float32 bytes; it goes in parts, between which the streams' audio goes first."""
        with self._changed:
            self._recordings.append(_parts(number, samples))
            self._changed.notify()

    def receive(self, timeout_s: float) -> list[Message]:
        """What comes within that time, may be nothing; raises ConnectionLost."""
        # Not `select`, which takes no descriptor above 1023.
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        try:
            if not poll.poll(timeout_s * 1000):
                return []
            data = self._socket.recv(_READ_BYTES)
            messages = list(self._parser.feed(data))
        except (OSError, ProtocolError) as error:
            raise ConnectionLost(str(error)) from error
        if not data:
            raise ConnectionLost("it closed the connection")
        return messages

    def end(self) -> int:
        """Tell it to stop, kill it when it does not, and return its exit status (negative: the signal)."""
        self.send(pack(Kind.stop))
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_S)
        return self.kill()

    def kill(self) -> int:
        """End it at once and return its exit status."""
        self._process.kill()
        status = self._process.wait()
        with self._changed:
            self._closed = True
            self._changed.notify()
        # Wakes the writer where it waits for the process to read.
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._writer.join()
        self._socket.close()
        return status

    def _write(self) -> None:
        try:
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._closed or self._messages or self._recordings)
                    if self._closed:
                        return
                    is_idle = not self._recordings
                if is_idle:
                    time.sleep(_GATHER_S)
                with self._changed:
                    messages, self._messages = self._messages, []
                    self._writing_since, self._queued_since = self._queued_since, None
                    recording = self._recordings[0] if self._recordings else None
                if messages:
                    self._write_all(messages)
                if recording is not None:
                    self._write_part(recording)
        except OSError:
            # The process is gone; its supervisor sees that where it reads.
            return

    def _write_all(self, messages: list[bytes]) -> None:
        data = b"".join((pack_clock(self._writing_since or time.monotonic()), *messages))
        self._socket.sendall(data)
        with self._changed:
            self._writing_since = None
            self._unsent_bytes -= sum(map(len, messages))

    def _write_part(self, recording: Iterator[bytes]) -> None:
        part = next(recording, None)
        if part is not None:
            self._socket.sendall(part)
            return
        with self._changed:
            self._recordings.popleft()


def _parts(number: int, samples: memoryview) -> Iterator[bytes]:
    for start in range(0, len(samples), _PART_BYTES):
        yield pack(Kind.recording, number, samples[start : start + _PART_BYTES], code=Encoding.float32)
    yield pack(Kind.analyse, number)
