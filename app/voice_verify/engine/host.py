"""The engine process: `python -m voice_verify.engine.host SOCKET MODEL_DIR THREADS`.

Started by `voice_verify.engine.child` with one end of a socket pair; ends when the other end is closed, so it never
outlives the service.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from uuid import UUID

import numpy as np

from voice_verify import logs
from voice_verify.engine.encoding import Encoding
from voice_verify.engine.engine import Engine
from voice_verify.engine.errors import EngineError, ModelError, Overloaded, StreamFailed, UnknownStream
from voice_verify.engine.protocol import (
    Kind,
    Message,
    Parser,
    Ready,
    Status,
    pack_failure,
    pack_ready,
    pack_status,
    pack_voice,
    unpack_clock,
)
from voice_verify.engine.voice import Voice
from voice_verify.processes.wire import ProtocolError, receive

log = logging.getLogger(__name__)

# Below the API, so that queries are answered while a batch is computed; recordings below the live streams.
NICE = 5
RECORDING_NICE = 10
# How often the process reports its state, and each stream without a new second of speech what was heard.
REPORT_S = 0.5
# Closing waits for what the stream sent last, a few milliseconds; the clients of many streams may hang up at once.
_CLOSERS = 8
_ENCODINGS = tuple(Encoding)
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Host:
    """Does what the messages say, and answers."""

    def __init__(self, connection: socket.socket, engine: Engine, threads: int) -> None:
        self._connection = connection
        self._engine = engine
        self._sending = threading.Lock()
        self._arrived = time.monotonic()
        self._recordings: dict[int, list[bytes]] = {}
        # What was told about each stream last: the audio heard.
        self._told: dict[UUID, float] = {}
        self._closers = ThreadPoolExecutor(_CLOSERS, thread_name_prefix="closing")
        self._analysts = ThreadPoolExecutor(threads, thread_name_prefix="recordings", initializer=_step_back)
        self._actions: dict[Kind, Callable[[Message], None]] = {
            Kind.clock: self._clock,
            Kind.audio: self._audio,
            Kind.open: self._open,
            Kind.close: self._close,
            Kind.recording: self._recording,
            Kind.analyse: self._analyse,
        }

    def run(self) -> None:
        """Serve until told to stop or the peer is gone; raises ProtocolError and OSError."""
        self._engine.start()
        self._send(pack_ready(Ready(self._engine.precision, self._engine.model.identity)))
        threading.Thread(target=self._report, name="status", daemon=True).start()
        for message in receive(self._connection, Parser()):
            if message.kind is Kind.stop:
                return
            action = self._actions.get(message.kind)
            if action is None:
                raise ProtocolError(f"a message of kind {message.kind.name} is none for the engine")
            action(message)

    def _send(self, message: bytes) -> None:
        with self._sending:
            self._connection.sendall(message)

    def _clock(self, message: Message) -> None:
        self._arrived = unpack_clock(message.content)

    def _open(self, message: Message) -> None:
        stream = _identity(message.number)
        self._engine.open_stream(stream, self._heard)
        self._told[stream] = 0.0

    def _audio(self, message: Message) -> None:
        encoding = _ENCODINGS[message.code]
        samples = np.frombuffer(message.content, encoding.dtype)
        try:
            self._engine.push_encoded(_identity(message.number), encoding, samples, self._arrived)
        except (Overloaded, StreamFailed) as error:
            # Said once, then the stream is gone: what comes after a gap would be a lie.
            self._closers.submit(self._give_up, message.number, error)
        except UnknownStream:
            # On its way while the stream failed.
            return

    def _give_up(self, number: int, error: EngineError) -> None:
        self._told.pop(_identity(number), None)
        with suppress(EngineError):
            self._engine.close_stream(_identity(number))
        self._send(pack_failure(number, error))

    def _close(self, message: Message) -> None:
        self._closers.submit(self._finish, message.number)

    def _finish(self, number: int) -> None:
        stream = _identity(number)
        try:
            voice = self._engine.close_stream(stream)
        except EngineError as error:
            self._send(pack_failure(number, error))
        else:
            self._send(pack_voice(Kind.closed, number, voice))
        finally:
            self._told.pop(stream, None)

    def _recording(self, message: Message) -> None:
        self._recordings.setdefault(message.number, []).append(message.content)

    def _analyse(self, message: Message) -> None:
        parts = self._recordings.pop(message.number, [])
        self._analysts.submit(self._analyse_parts, message.number, parts)

    def _analyse_parts(self, number: int, parts: list[bytes]) -> None:
        try:
            samples = np.frombuffer(b"".join(parts), Encoding.float32.dtype).astype(np.float32, copy=False)
            parts.clear()
            answer = pack_voice(Kind.analysed, number, self._engine.analyse(samples))
        # Whatever it is, the caller waits for an answer.
        except Exception as error:
            log.exception("a recording could not be analysed")
            answer = pack_failure(number, StreamFailed(f"the recording could not be analysed ({type(error).__name__})"))
        self._send(answer)

    def _heard(self, stream: UUID, voice: Voice) -> None:
        """There is a new second of speech; called from the engine's threads."""
        self._told[stream] = voice.audio_s
        self._send(pack_voice(Kind.voice, stream.int, voice))

    def _report(self) -> None:
        while True:
            if not self._engine.alive:
                log.error("the engine's threads ended")
                os._exit(1)
            try:
                self._report_progress()
                self._send(pack_status(self._status()))
            except OSError:
                # The peer is gone, which the receiving thread sees too.
                return
            time.sleep(REPORT_S)

    def _report_progress(self) -> None:
        # In one piece: each would wake the service.
        news: list[bytes] = []
        for stream, told in list(self._told.items()):
            try:
                voice = self._engine.voice(stream)
            except UnknownStream:
                # Closed meanwhile.
                self._told.pop(stream, None)
                continue
            except EngineError as error:
                self._give_up(stream.int, error)
                continue
            if voice.audio_s > told:
                self._told[stream] = voice.audio_s
                news.append(pack_voice(Kind.voice, stream.int, voice, with_embedding=False))
        if news:
            self._send(b"".join(news))

    def _status(self) -> Status:
        parts = self._engine.cpu_s
        return Status(
            cpu_vad_s=parts["vad"],
            cpu_features_s=parts["features"],
            cpu_embedding_s=parts["embedding"],
            cpu_other_s=max(0.0, time.process_time() - sum(parts.values())),
            lag_s=self._engine.lag_s,
            busy=self._engine.take_busy(),
            at=time.monotonic(),
            memory_bytes=int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES,
            streams=len(self._told),
        )


# Asked for with every frame.
@lru_cache(maxsize=4096)
def _identity(number: int) -> UUID:
    return UUID(int=number)


def _step_back() -> None:
    """Lower this thread's share: on Linux each thread has a priority of its own."""
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), RECORDING_NICE)


def main() -> None:
    """Exit status 0 when told to stop or the service is gone, 1 when the model cannot be loaded."""
    # A terminal and systemd signal the whole group; the service says when it has no more use for this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # A sandbox may forbid it; then queries wait a little at times.
    with suppress(PermissionError):
        os.nice(NICE)
    logs.configure()
    descriptor, model_dir, threads = int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    status = 0
    with socket.socket(fileno=descriptor) as connection:
        try:
            Host(connection, Engine(model_dir, threads=threads), threads).run()
        except ModelError as error:
            with suppress(OSError):
                connection.sendall(pack_failure(0, error))
            status = 1
        except (ProtocolError, OSError) as error:
            log.warning("the service is gone: %s", error)
    # Not by way of the threads, which may be in the middle of a long recording.
    logging.shutdown()
    os._exit(status)


if __name__ == "__main__":
    main()
