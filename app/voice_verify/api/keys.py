"""API keys: listed, made, revoked."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from voice_verify.api.dependencies import CallerDep, Operators, ServicesDep
from voice_verify.api.documented import problems
from voice_verify.api.documents.keys import CreatedKey, Key, Keys, NewKey
from voice_verify.errors import InvalidRequest, KeyNotFound, LastOperatorKey, MalformedBody

router = APIRouter(prefix="/keys", tags=["keys"], dependencies=[Operators])


@router.get("", summary="List the API keys", responses=problems())
def list_keys(services: ServicesDep) -> Keys:
    """Every key, oldest first, also those that are revoked; never the keys themselves."""
    return Keys(keys=[Key.of(key) for key in services.keys.all()])


@router.post("", summary="Make an API key", status_code=201, responses=problems(MalformedBody, InvalidRequest))
def create_key(services: ServicesDep, caller: CallerDep, new: NewKey) -> CreatedKey:
    """Shows the key this once: only its hash is kept."""
    secret, key = services.keys.create(new.name, new.roles, by=caller.key)
    return CreatedKey(key=secret, **dict(Key.of(key)))


@router.delete(
    "/{key}",
    summary="Revoke an API key",
    status_code=204,
    responses=problems(KeyNotFound, LastOperatorKey, InvalidRequest),
)
def revoke_key(
    services: ServicesDep,
    caller: CallerDep,
    key: Annotated[int, Path(ge=1, lt=2**31, description="`id` of the key")],
) -> None:
    """Makes the key invalid, for ever; again changes nothing. The last operator key cannot be revoked."""
    services.keys.revoke(key, by=caller.key)
