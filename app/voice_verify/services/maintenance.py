"""Maintenance mode: nothing new begins, so that the database can be exchanged."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from voice_verify.errors import DatabaseUnavailable
from voice_verify.services import process
from voice_verify.services.events import EndReason
from voice_verify.services.streams import StreamService
from voice_verify.store import Database
from voice_verify.store.maintenance import MaintenanceStore

log = logging.getLogger(__name__)

# The streams of a process are ended side by side, because each waits for the engine.
ENDED_AT_ONCE = 8
# Other processes look once a second whether they shall end their streams.
OTHERS_END_S = 5.0
LOOK_AGAIN_S = 0.1


@dataclass(frozen=True)
class MaintenanceStatus:
    """`running_streams`: streams and uploads of all processes that have not ended."""

    mode: bool
    since: datetime | None
    running_streams: int


class MaintenanceService:
    def __init__(self, database: Database, streams: StreamService) -> None:
        self._store = MaintenanceStore(database, self._lives)
        self._streams = streams
        # The quiets that this process holds: one that it failed to give back holds nothing.
        self._held: set[str] = set()
        self._forced = datetime.now(UTC)

    def status(self) -> MaintenanceStatus:
        state = self._store.state()
        return MaintenanceStatus(state.mode, state.since, len(self._store.open_streams()))

    def enter(self, key: int | None) -> MaintenanceStatus:
        """When this returns no new stream and no upload begins, in any process; `key` is for the audit."""
        self._store.enter(key)
        log.info("maintenance mode entered", extra={"fields": {"key": key}})
        return self.status()

    def leave(self, key: int | None) -> MaintenanceStatus:
        """Raises RestoreRunning while a backup or a restore runs."""
        self._store.leave(key)
        log.info("maintenance mode left", extra={"fields": {"key": key}})
        return self.status()

    def force_off(self, key: int | None) -> int:
        """End all open streams, in all processes, and tell how many; uploads end by themselves in seconds."""
        before = self._open()
        self._forced = self._store.force(key)
        self._end_streams()
        deadline = time.monotonic() + OTHERS_END_S
        while (left := before & self._open()) and time.monotonic() < deadline:
            time.sleep(LOOK_AGAIN_S)
        log.info("all streams forced off", extra={"fields": {"key": key, "ended": len(before - left)}})
        return len(before - left)

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """The database for the caller alone: maintenance mode, no stream, and both stay so until the block ends.

        Raises MaintenanceRequired, StreamsRunning, and RestoreRunning when somebody else has it. A process that dies
        in the block leaves nothing behind.
        """
        holder = f"{process.own()}/{secrets.token_hex(8)}"
        self._held.add(holder)
        try:
            self._store.begin_quiet(holder)
            yield
        finally:
            self._held.discard(holder)
            try:
                self._store.end_quiet(holder)
            except DatabaseUnavailable:
                # Nobody holds it any more, so the next one takes it over.
                log.warning("the end of a quiet could not be written")

    def require_quiet(self) -> None:
        """Raises as `quiet` does, so that a caller is refused before it sends a large file."""
        with self.quiet():
            pass

    def recover(self) -> None:
        """Close the streams in the database that processes left open when they died."""
        self._store.open_streams()

    def tick(self) -> None:
        """Once a second: end all streams if another process was told to force them off."""
        forced = self._store.state().forced
        if forced is not None and forced > self._forced:
            self._forced = forced
            self._end_streams()

    def _open(self) -> set[str]:
        return {stream.uuid for stream in self._store.open_streams() if stream.source != "recording"}

    def _end_streams(self) -> None:
        with ThreadPoolExecutor(ENDED_AT_ONCE) as pool:
            for stream in self._streams.all():
                pool.submit(self._streams.end, stream.uuid, EndReason.maintenance)

    def _lives(self, owner: str) -> bool:
        who, _, quiet = owner.partition("/")
        if quiet and who == process.own():
            return owner in self._held
        return process.lives(who)
