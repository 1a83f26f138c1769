"""PBX instances: listed, added, changed, removed."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter

from voice_verify.api.dependencies import CallerDep, Operators, OperatorsAndViewers, ServicesDep
from voice_verify.api.documented import problems
from voice_verify.api.documents.pbx import PbxInstance, PbxInstances, PbxRequest
from voice_verify.errors import InvalidRequest, MalformedBody, PbxExists, PbxNotFound

router = APIRouter(prefix="/pbx", tags=["pbx"])


@router.get("", summary="List the PBX instances", dependencies=[OperatorsAndViewers], responses=problems())
def list_pbx(services: ServicesDep) -> PbxInstances:
    """By name."""
    standings = services.telephony.standings()
    return PbxInstances(pbx=[PbxInstance.of(stored, standings) for stored in services.pbx.all()])


@router.post(
    "",
    summary="Add a PBX instance",
    status_code=201,
    dependencies=[Operators],
    responses=problems(MalformedBody, PbxExists, InvalidRequest),
)
def add_pbx(services: ServicesDep, caller: CallerDep, request: PbxRequest) -> PbxInstance:
    """The password is stored encrypted and never shown again. With a username, we register within seconds."""
    return PbxInstance.of(services.pbx.add(request.pbx(), request.secret(), key_id=caller.key), {})


@router.get(
    "/{uuid}",
    summary="Describe a PBX instance",
    dependencies=[OperatorsAndViewers],
    responses=problems(PbxNotFound, InvalidRequest),
)
def get_pbx(services: ServicesDep, uuid: UUID) -> PbxInstance:
    return PbxInstance.of(services.pbx.get(str(uuid)), services.telephony.standings())


@router.put(
    "/{uuid}",
    summary="Change a PBX instance",
    dependencies=[Operators],
    responses=problems(MalformedBody, PbxNotFound, PbxExists, InvalidRequest),
)
def change_pbx(services: ServicesDep, caller: CallerDep, uuid: UUID, request: PbxRequest) -> PbxInstance:
    """Sets all that is given and the defaults of all else; only a password that is not given stays.

    Without a username the password goes, too.
    """
    stored = services.pbx.change(str(uuid), request.pbx(), request.secret(), key_id=caller.key)
    return PbxInstance.of(stored, services.telephony.standings())


@router.delete(
    "/{uuid}",
    summary="Remove a PBX instance",
    status_code=204,
    dependencies=[Operators],
    responses=problems(PbxNotFound, InvalidRequest),
)
def delete_pbx(services: ServicesDep, caller: CallerDep, uuid: UUID) -> None:
    services.pbx.remove(str(uuid), key_id=caller.key)
