"""The book of streams and uploads in the database: what runs, and how what ended went."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from uuid import uuid4

from voice_verify.engine import Voice
from voice_verify.errors import DatabaseUnavailable
from voice_verify.services import process
from voice_verify.services.journal import EnrolmentOutcome, Journal
from voice_verify.store import Database
from voice_verify.store.streams import NO_CALL, Call, EndedStream, StreamEvent, StreamStore

log = logging.getLogger(__name__)

RECORDING = "recording"


@dataclass
class Upload:
    """An upload that is being heard; `journal` and the seconds become its report."""

    journal: Journal = field(default_factory=Journal)
    net_speech_s: float = 0.0
    audio_s: float = 0.0

    def hear(self, voice: Voice) -> None:
        self.net_speech_s, self.audio_s = voice.net_speech_s, voice.audio_s

    def enrolled(self, pseudonym: str) -> None:
        self.journal.enrolled(EnrolmentOutcome(pseudonym, "enrolled", "ok", self.net_speech_s))

    def refused(self, pseudonym: str, reason: str) -> None:
        self.journal.enrolled(EnrolmentOutcome(pseudonym, "refused", reason, self.net_speech_s))


class StreamRegister:
    """An entry is made before a stream begins, so that maintenance mode knows of all that run."""

    def __init__(self, database: Database) -> None:
        self._store = StreamStore(database)
        self._lock = threading.Lock()
        # What could not be written because the database was away.
        self._unwritten: list[Callable[[], None]] = []

    def open(self, uuid: str, source: str, call: Call = NO_CALL) -> None:
        """Raises MaintenanceMode, StreamInUse and DatabaseUnavailable; then nothing may begin."""
        self._store.open(uuid, process.own(), source, call)

    def forget(self, uuid: str) -> None:
        """Take back `open`, because nothing began; later, when the database is away."""
        self._write(partial(self._store.forget, uuid))

    def close(self, stream: EndedStream, events: Sequence[StreamEvent]) -> None:
        """Write the report; later, when the database is away."""
        self._write(partial(self._store.close, stream, events))

    def ended(self, uuid: str) -> EndedStream | None:
        """How a stream ended, as long as its report is kept; None while it runs and when there was none."""
        report = self._store.report(uuid)
        return None if report is None else report.stream

    @contextmanager
    def upload(self) -> Iterator[Upload]:
        """An upload from its admission to its report; raises as `open` does."""
        begun = EndedStream(
            uuid=str(uuid4()),
            owner=process.own(),
            source=RECORDING,
            peer=None,
            codec=None,
            started=datetime.now(UTC),
            ended=datetime.now(UTC),
            end_reason="refused",
            net_speech_s=0.0,
            audio_s=0.0,
        )
        self.open(begun.uuid, RECORDING)
        upload = Upload()
        reason = "refused"
        try:
            yield upload
            reason = "answered"
        finally:
            ended = replace(
                begun,
                ended=datetime.now(UTC),
                end_reason=reason,
                net_speech_s=upload.net_speech_s,
                audio_s=upload.audio_s,
            )
            self.close(ended, upload.journal.events())

    def tick(self) -> None:
        """Write what could not be written before."""
        with self._lock:
            waiting, self._unwritten = self._unwritten, []
        for number, write in enumerate(waiting):
            try:
                write()
            except DatabaseUnavailable:
                log.warning("reports wait for the database", extra={"fields": {"waiting": len(waiting) - number}})
                with self._lock:
                    self._unwritten[:0] = waiting[number:]
                return
            except Exception:
                log.exception("a report is lost")

    def _write(self, write: Callable[[], None]) -> None:
        with self._lock:
            self._unwritten.append(write)
        self.tick()
