"""Backups of what an installation knows, and the way back."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import IO, TypeVar

from voice_verify import __version__
from voice_verify.engine import ModelInfo
from voice_verify.services.backup_file import BackupReader, Header, damaged, write
from voice_verify.services.maintenance import MaintenanceService
from voice_verify.services.records import (
    BackupLine,
    PbxLine,
    PbxRecord,
    ProfileLine,
    ProfileRecord,
    SettingLine,
    SettingRecord,
    SpeakerLine,
    SpeakerRecord,
    columns,
)
from voice_verify.services.sealing import parse_recipient, sealed
from voice_verify.services.spool import Spool, disk_full, packed
from voice_verify.store import AuditAction, Database
from voice_verify.store.models import PbxRow, ProfileRow, SettingRow, SpeakerRow, VoiceprintRow
from voice_verify.store.replica import BATCH, Reader, Replacement, ReplicaStore

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class Restored:
    """`restored`: speakers that came back; `deleted_since`: those left out because they were deleted meanwhile."""

    restored: int
    deleted_since: int


class BackupService:
    """`by` is always the API key that asks, for the audit; `changed` is called when all may have changed."""

    def __init__(
        self,
        database: Database,
        replica: ReplicaStore,
        maintenance: MaintenanceService,
        spool: Spool,
        *,
        model: ModelInfo,
        changed: Callable[[], None],
    ) -> None:
        self._database = database
        self._replica = replica
        self._maintenance = maintenance
        self._spool = spool
        self._model = model
        self._changed = changed

    def make(self, *, by: int, recipient: str = "", while_running: bool = False) -> IO[bytes]:
        """A backup in a file that is gone once it is closed, encrypted to `recipient` if there is one.

        It is of one moment also `while_running`, when streams go on. Raises RecipientInvalid, MaintenanceRequired,
        StreamsRunning, RestoreRunning, Undecipherable, DiskFull and DatabaseUnavailable.
        """
        key = parse_recipient(recipient) if recipient else None
        file = self._spool.new()
        try:
            with nullcontext() if while_running else self._maintenance.quiet(), disk_full():
                with nullcontext(file) if key is None else sealed(file, key) as content:
                    records = write_backup(content, self._database, self._replica, self._model)
                self._replica.record(AuditAction.backup_made, "database", by, records=records)
        except BaseException:
            file.close()
            raise
        log.info("backup made", extra={"fields": {"records": records, "key": by}})
        return file

    def restore(self, file: IO[bytes], *, by: int) -> Restored:
        """Replace all that a backup holds by what is in `file`, or change nothing.

        Raises BackupForeign, BackupTooNew, BackupDamaged, UploadTooLarge, and as `make` does.
        """
        with self._maintenance.quiet():
            header = BackupReader(self._spool.unpacked(file)).header
            # All of it is looked at before anything is touched.
            for _ in self._rows(file):
                pass
            with self._replica.replacing() as new:
                new.clear(VoiceprintRow, SpeakerRow, ProfileRow, PbxRow, SettingRow)
                done = self._insert(new, self._rows(file))
                new.record(AuditAction.backup_restored, "database", by, made=header.created.isoformat(), **vars(done))
            self._changed()
        log.info("backup restored", extra={"fields": {**vars(done), "key": by}})
        return done

    def _rows(self, file: IO[bytes]) -> Iterator[BackupLine]:
        for line in BackupReader(self._spool.unpacked(file)).rows():
            if isinstance(line, SpeakerLine):
                check_dimensions(line.row, self._model)
            yield line

    def _insert(self, new: Replacement, lines: Iterator[BackupLine]) -> Restored:
        restored = deleted_since = 0
        for batch in batches(lines, BATCH):
            speakers = [line.row.enrolled() for line in batch if isinstance(line, SpeakerLine)]
            deleted = new.speakers(speakers)
            deleted_since += deleted
            restored += len(speakers) - deleted
            for line in batch:
                match line:
                    case ProfileLine(row=row):
                        new.row(ProfileRow, columns(row))
                    case PbxLine(row=row):
                        new.row(PbxRow, columns(row))
                    case SettingLine(row=row):
                        new.row(SettingRow, columns(row))
        return Restored(restored, deleted_since)


def write_backup(file: IO[bytes], database: Database, replica: ReplicaStore, model: ModelInfo) -> int:
    """Write a backup of this moment, whatever goes on meanwhile, and tell how many rows it has.

    Raises Undecipherable and DatabaseUnavailable.
    """
    header = Header(
        product=__version__,
        schema_revision=database.state().current,
        created=datetime.now(UTC),
        model=model.identity,
    )
    with replica.reading() as reader, packed(file) as content:
        return write(content, header, _lines(reader))


def check_dimensions(record: SpeakerRecord, model: ModelInfo) -> None:
    """Raises BackupDamaged when a voiceprint cannot be of the model that it names."""
    if record.model == model.identity and record.dimensions != model.dimensions:
        raise damaged(f"a voiceprint has {record.dimensions} numbers instead of {model.dimensions}")


def batches(items: Iterable[T], size: int) -> Iterator[Sequence[T]]:
    """Lists of at most `size` items, in order."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def _lines(reader: Reader) -> Iterator[BackupLine]:
    for speaker in reader.speakers():
        yield SpeakerLine(row=SpeakerRecord.of(speaker))
    for profile in reader.profiles():
        yield ProfileLine(row=ProfileRecord.model_validate(_values(profile, ProfileRecord)))
    for pbx in reader.pbx():
        yield PbxLine(row=PbxRecord.model_validate(_values(pbx, PbxRecord)))
    for setting in reader.settings():
        yield SettingLine(row=SettingRecord.model_validate(_values(setting, SettingRecord)))


def _values(row: object, record: type[ProfileRecord] | type[PbxRecord] | type[SettingRecord]) -> dict[str, object]:
    return {name: getattr(row, name) for name in record.model_fields}
