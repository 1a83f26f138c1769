"""All voiceprints as one document, out and in."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import IO

from voice_verify.engine import ModelInfo
from voice_verify.services.backup import Restored, batches, check_dimensions
from voice_verify.services.maintenance import MaintenanceService
from voice_verify.services.records import SpeakerRecord
from voice_verify.services.snapshot_file import Header, read, write
from voice_verify.services.spool import Spool, disk_full, packed
from voice_verify.store import AuditAction
from voice_verify.store.models import SpeakerRow, VoiceprintRow
from voice_verify.store.replica import BATCH, ReplicaStore

log = logging.getLogger(__name__)


class SnapshotService:
    """`by` is always the API key that asks, for the audit; `changed` is called when all may have changed."""

    def __init__(
        self,
        replica: ReplicaStore,
        maintenance: MaintenanceService,
        spool: Spool,
        *,
        model: ModelInfo,
        changed: Callable[[], None],
    ) -> None:
        self._replica = replica
        self._maintenance = maintenance
        self._spool = spool
        self._model = model
        self._changed = changed

    def export(self, *, compressed: bool, by: int) -> IO[bytes]:
        """The voiceprints of one moment in a file that is gone once it is closed; streams may run.

        Raises Undecipherable, DiskFull and DatabaseUnavailable.
        """
        file = self._spool.new()
        try:
            header = Header(created=datetime.now(UTC), model=self._model.identity)
            with (
                disk_full(),
                self._replica.reading() as reader,
                packed(file) if compressed else nullcontext(file) as content,
            ):
                count = write(content, header, map(SpeakerRecord.of, reader.speakers()))
            self._replica.record(AuditAction.snapshot_exported, "voiceprints", by, count=count)
        except BaseException:
            file.close()
            raise
        log.info("snapshot exported", extra={"fields": {"voiceprints": count, "key": by}})
        return file

    def load(self, file: IO[bytes], *, by: int) -> Restored:
        """Replace all voiceprints by those in `file`, or change nothing.

        Raises BackupForeign, BackupTooNew, BackupDamaged, UploadTooLarge, MaintenanceRequired, StreamsRunning,
        RestoreRunning and DatabaseUnavailable.
        """
        restored = deleted_since = 0
        with self._maintenance.quiet():
            # All of it is looked at before anything is touched.
            for _ in self._voiceprints(file):
                pass
            with self._replica.replacing() as new:
                new.clear(VoiceprintRow, SpeakerRow)
                for batch in batches(self._voiceprints(file), BATCH):
                    deleted = new.speakers([record.enrolled() for record in batch])
                    deleted_since += deleted
                    restored += len(batch) - deleted
                done = Restored(restored, deleted_since)
                new.record(AuditAction.snapshot_imported, "voiceprints", by, **vars(done))
            self._changed()
        log.info("snapshot imported", extra={"fields": {**vars(done), "key": by}})
        return done

    def _voiceprints(self, file: IO[bytes]) -> Iterator[SpeakerRecord]:
        for record in read(self._spool.unpacked(file)):
            check_dimensions(record, self._model)
            yield record
