"""Maintenance mode: entered, left, looked at, and all streams ended."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from voice_verify.api.dependencies import CallerDep, Operators, Readers, ServicesDep
from voice_verify.api.documented import problems
from voice_verify.api.documents.inventory import Inventory
from voice_verify.api.documents.maintenance import ForcedOff, Maintenance
from voice_verify.errors import InvalidRequest, RestoreRunning, ThroughInvalid, Undecipherable

router = APIRouter(tags=["maintenance"])

# The first clients of this interface used either verb; what changes something is a POST.
ENTER: dict[str, Any] = {
    "summary": "Enter maintenance mode",
    "dependencies": [Operators],
    "responses": problems(),
}
LEAVE: dict[str, Any] = {
    "summary": "Leave maintenance mode",
    "dependencies": [Operators],
    "responses": problems(RestoreRunning),
}


@router.get(
    "/maintenance", summary="Whether the service is in maintenance mode", dependencies=[Readers], responses=problems()
)
def get_maintenance(services: ServicesDep) -> Maintenance:
    """The mode, and how many streams and uploads are still running."""
    return Maintenance.of(services.maintenance.status())


@router.get("/lock", deprecated=True, operation_id="lock_by_get", **ENTER)
@router.post("/lock", operation_id="lock", **ENTER)
@router.get("/maintenance/lock", deprecated=True, operation_id="lock_maintenance_by_get", **ENTER)
@router.post("/maintenance/lock", operation_id="lock_maintenance", **ENTER)
def lock(services: ServicesDep, caller: CallerDep) -> Maintenance:
    """New streams and uploads are refused with 503 `maintenance_mode` from the moment this answers.

    Running streams may enrol and verify until they end. The mode outlives a restart. Again changes nothing.
    """
    return Maintenance.of(services.maintenance.enter(caller.key))


@router.get("/maintenance/unlock", deprecated=True, operation_id="unlock_maintenance_by_get", **LEAVE)
@router.post("/maintenance/unlock", operation_id="unlock_maintenance", **LEAVE)
def unlock(services: ServicesDep, caller: CallerDep) -> Maintenance:
    """All is allowed again. Refused while a backup or a restore is running. Again changes nothing."""
    return Maintenance.of(services.maintenance.leave(caller.key))


@router.post("/maintenance/force_off", summary="End all streams", dependencies=[Operators], responses=problems())
def force_off(services: ServicesDep, caller: CallerDep) -> ForcedOff:
    """Ends every open stream with reason `maintenance`, so that the database is stable once the mode is on.

    Uploads that are being heard are not cut off; they end within seconds.
    """
    return ForcedOff(ended_streams=services.maintenance.force_off(caller.key))


@router.get(
    "/maintenance/inventory",
    summary="Count every kind of record",
    dependencies=[Operators],
    responses=problems(InvalidRequest, ThroughInvalid, Undecipherable),
)
def get_inventory(
    services: ServicesDep,
    through: Annotated[
        str, Query(max_length=4096, description="Of an earlier inventory: count what only grows up to there")
    ] = "",
) -> Inventory:
    """Version, formats, and of each kind of record how many there are, with a checksum over all of them.

    Two are equal when nothing was lost or changed between them. Taken in maintenance mode, when nothing is written.
    """
    return Inventory.of(services.inventory.take(through))
