"""A process as its parent sees it: started with a socket, written to without waiting, ended for good."""

from __future__ import annotations

import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Generic

from voice_verify.processes.wire import Kind, Message, Parser, ProtocolError

_READ_BYTES = 1 << 18
_END_S = 5.0


class ConnectionLost(Exception):
    """The process ended, closed its end of the socket or sent what is no message."""


class Child(Generic[Kind]):
    """One process. Sending only queues; a thread of its own writes."""

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        parser: Parser[Kind],
        *,
        stop: bytes,
        environment: Mapping[str, str],
        gather_s: float,
    ) -> None:
        """Run `module` with the descriptor of its socket and `arguments`; raises OSError when that is impossible.

        `environment` is all that it has of variables. `stop` tells it to end. Messages of so many seconds go in one
        write.
        """
        self._parser = parser
        self._stop = stop
        self._gather_s = gather_s
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, str(theirs.fileno()), *arguments],
                pass_fds=[theirs.fileno()],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
            )
        # A plain lock: it is taken for every frame.
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._messages: list[bytes] = []
        self._unsent_bytes = 0
        # When the first of those was queued that are being written, and of those that wait.
        self._writing_since: float | None = None
        self._queued_since: float | None = None
        self._closed = False
        self._writer = threading.Thread(target=self._write, name=f"to-{module}", daemon=True)
        self._writer.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def unsent_s(self) -> float:
        """How long the oldest message that is not written yet has waited."""
        since = self._writing_since or self._queued_since
        return 0.0 if since is None else time.monotonic() - since

    def send(self, message: bytes) -> None:
        """Queue a message; never waits. After the end it goes nowhere."""
        with self._lock:
            self._messages.append(message)
            self._unsent_bytes += len(message)
            if self._queued_since is None:
                self._queued_since = time.monotonic()
                self._changed.notify()

    def receive(self, timeout_s: float) -> list[Message[Kind]]:
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
        self.send(self._stop)
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

    def _head(self) -> bytes:
        """What goes before the messages of one write."""
        return b""

    def _part(self) -> bytes:
        """What goes when no message waits, piece by piece; called with the lock held."""
        return b""

    @property
    def _has_parts(self) -> bool:
        return False

    def _write(self) -> None:
        try:
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._closed or self._messages or self._has_parts)
                    if self._closed:
                        return
                    is_idle = not self._has_parts
                if is_idle and self._gather_s:
                    time.sleep(self._gather_s)
                with self._changed:
                    messages, self._messages = self._messages, []
                    self._writing_since, self._queued_since = self._queued_since, None
                if messages:
                    self._write_all(messages)
                if self._has_parts:
                    with self._changed:
                        part = self._part()
                    self._socket.sendall(part)
        except OSError:
            # The process is gone; its supervisor sees that where it reads.
            return

    def _write_all(self, messages: list[bytes]) -> None:
        self._socket.sendall(b"".join((self._head(), *messages)))
        with self._changed:
            self._writing_since = None
            self._unsent_bytes -= sum(map(len, messages))
