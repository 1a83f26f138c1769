"""Backups and snapshots: made, restored, exported, imported."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from voice_verify.api.dependencies import CallerDep, Operators, ServicesDep
from voice_verify.api.documented import problems
from voice_verify.api.documents.backup import RestoreResult
from voice_verify.api.documents.base import MODEL, MOMENT
from voice_verify.api.files import BINARY, received, request_body, sent
from voice_verify.errors import (
    BackupDamaged,
    BackupForeign,
    BackupTooNew,
    DiskFull,
    InvalidRequest,
    MaintenanceRequired,
    MalformedBody,
    RecipientInvalid,
    RestoreRunning,
    StreamsRunning,
    Undecipherable,
    UploadTooLarge,
)
from voice_verify.services.sealing import MEDIA_TYPE

router = APIRouter(tags=["backup"], dependencies=[Operators])

GZIP = "application/gzip"
JSON = "application/json"
OCTETS = "application/octet-stream"
QUIET = (MaintenanceRequired, StreamsRunning, RestoreRunning)
BAD_FILE = (
    MalformedBody,
    UploadTooLarge,
    InvalidRequest,
    BackupForeign,
    BackupTooNew,
    BackupDamaged,
    Undecipherable,
    DiskFull,
)


async def _quiet(services: ServicesDep) -> None:
    await run_in_threadpool(services.maintenance.require_quiet)


SNAPSHOT = {
    "format": "voice-verify-snapshot",
    "version": 1,
    "created": MOMENT,
    "model": MODEL,
    "voiceprints": [],
    "count": 0,
    "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
}
CONTENTS: dict[str, Any] = {
    GZIP: {"schema": BINARY, "examples": {"file": {"value": ""}}},
    MEDIA_TYPE: {"schema": BINARY, "examples": {"file": {"value": ""}}},
    JSON: {"schema": {"type": "object"}, "examples": {"nobody enrolled": {"value": SNAPSHOT}}},
}


def _file(description: str, *media_types: str) -> dict[int | str, dict[str, Any]]:
    return {
        200: {"description": description, "content": {media_type: CONTENTS[media_type] for media_type in media_types}}
    }


@router.post(
    "/maintenance/backup",
    summary="Make a backup",
    response_class=Response,
    responses={
        **problems(*QUIET, InvalidRequest, RecipientInvalid, Undecipherable, DiskFull),
        **_file("The backup, to be kept safe", GZIP, MEDIA_TYPE),
    },
)
def make_backup(
    services: ServicesDep,
    caller: CallerDep,
    recipient: Annotated[
        str, Query(max_length=256, description="Public key of age (age1…) that it is encrypted to; empty: in clear")
    ] = "",
    while_running: Annotated[bool, Query(description="Without maintenance mode: of this moment, calls go on")] = False,
) -> Response:
    """Voiceprints with consent, uploaded profiles, PBX instances without their passwords, and settings, as one file.

    Needs maintenance mode and no open stream unless it is made `while_running`. Without a `recipient` the voiceprints
    in it are in clear: keep it as safe as the appliance.
    """
    file = services.backup.make(by=caller.key, recipient=recipient, while_running=while_running)
    if recipient:
        return sent(file, name="voice-verify.backup.age", media_type=MEDIA_TYPE)
    return sent(file, name="voice-verify.backup.gz", media_type=GZIP)


@router.post(
    "/maintenance/loadbackup",
    summary="Restore a backup",
    dependencies=[Depends(_quiet)],
    responses=problems(*QUIET, *BAD_FILE),
    openapi_extra=request_body(GZIP, OCTETS),
)
async def load_backup(request: Request, services: ServicesDep, caller: CallerDep) -> RestoreResult:
    """Replaces all that a backup holds by what is in the file; a bad file changes nothing.

    Needs maintenance mode and no open stream. Who was deleted since the backup stays deleted.
    """
    with await received(request, services.spool) as file:
        return RestoreResult.of(await run_in_threadpool(services.backup.restore, file, by=caller.key))


@router.get(
    "/snapshot/export",
    summary="Export all voiceprints",
    response_class=Response,
    responses={**problems(InvalidRequest, Undecipherable, DiskFull), **_file("The snapshot", JSON, GZIP)},
)
def export_snapshot(
    services: ServicesDep,
    caller: CallerDep,
    compressed: Annotated[bool, Query(description="As gzip")] = False,
) -> Response:
    """All voiceprints of one moment with consent, opt-out and expiry; streams may run meanwhile.

    They are in clear: keep the file as safe as the appliance.
    """
    file = services.snapshot.export(compressed=compressed, by=caller.key)
    if compressed:
        return sent(file, name="voice-verify.snapshot.json.gz", media_type=GZIP)
    return sent(file, name="voice-verify.snapshot.json", media_type=JSON)


@router.post(
    "/snapshot/import",
    summary="Replace all voiceprints by a snapshot",
    dependencies=[Depends(_quiet)],
    responses=problems(*QUIET, *BAD_FILE),
    openapi_extra=request_body(JSON, GZIP, OCTETS),
)
async def import_snapshot(request: Request, services: ServicesDep, caller: CallerDep) -> RestoreResult:
    """Takes JSON or gzip; a bad file changes nothing.

    Needs maintenance mode and no open stream. Who was deleted since the export stays deleted.
    """
    with await received(request, services.spool) as file:
        return RestoreResult.of(await run_in_threadpool(services.snapshot.load, file, by=caller.key))
