"""Audio Source Profiles: listed, added, removed, activated."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Path

from voice_verify.api.dependencies import CallerDep, Operators, Readers, ServicesDep
from voice_verify.api.documented import problems
from voice_verify.api.documents.profiles import UPLOAD, Profile, ProfileActivation, Profiles, ProfileSummary
from voice_verify.engine import AudioSourceProfile
from voice_verify.errors import (
    InvalidRequest,
    MalformedBody,
    ProfileActive,
    ProfileExists,
    ProfileModelMismatch,
    ProfileNotFound,
    ProfilePackaged,
    UploadTooLarge,
)

router = APIRouter(prefix="/maintenance", tags=["profiles"])

# `uuid:uuid`, so that `active` is never taken for one.
Upload = Annotated[AudioSourceProfile, Body(openapi_examples={"without arrays": {"value": UPLOAD}})]
ProfileName = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", examples=["mobile-noisy"])]


@router.get("/asp", summary="List the profiles", dependencies=[Readers], responses=problems())
def list_profiles(services: ServicesDep) -> Profiles:
    """The packaged ones, then the uploaded ones."""
    return Profiles(profiles=[ProfileSummary.of(known) for known in services.profiles.all()])


@router.post(
    "/asp",
    summary="Add a profile",
    status_code=201,
    dependencies=[Operators],
    responses=problems(MalformedBody, ProfileExists, UploadTooLarge, InvalidRequest),
)
def add_profile(services: ServicesDep, caller: CallerDep, profile: Upload) -> Profile:
    """Takes the document that `vvctl profile fit` writes; it decides nothing before it is activated.

    `mean` has 192 numbers, `wccn` 192 rows of them; both or neither. A profile for another model is kept and says so
    in `problem`.
    """
    return Profile.of(services.profiles.add(profile, key_id=caller.key))


@router.get("/asp/active", summary="The profile in force", dependencies=[Readers], responses=problems())
def get_active_profile(services: ServicesDep) -> Profile:
    """The uploaded one that is active, else the packaged one that applies."""
    return Profile.of(services.profiles.in_force())


@router.get(
    "/asp/{uuid:uuid}",
    summary="Describe a profile",
    dependencies=[Readers],
    responses=problems(ProfileNotFound, InvalidRequest),
)
def get_profile(services: ServicesDep, uuid: UUID) -> Profile:
    return Profile.of(services.profiles.get(str(uuid)))


@router.delete(
    "/asp/{uuid:uuid}",
    summary="Remove a profile",
    status_code=204,
    dependencies=[Operators],
    responses=problems(ProfileNotFound, ProfileActive, ProfilePackaged, InvalidRequest),
)
def delete_profile(services: ServicesDep, caller: CallerDep, uuid: UUID) -> None:
    """Removes an uploaded profile that is not active."""
    services.profiles.remove(str(uuid), key_id=caller.key)


@router.post(
    "/asp/{uuid:uuid}/active",
    summary="Activate a profile",
    dependencies=[Operators],
    responses=problems(MalformedBody, ProfileNotFound, ProfileModelMismatch, InvalidRequest),
)
def activate_profile(
    services: ServicesDep, caller: CallerDep, uuid: UUID, activation: ProfileActivation | None = None
) -> Profile:
    """Running streams decide by it from their next decision on; with `{"active": false}` no longer.

    At most one uploaded profile is active. Without one the packaged profile applies: the one activated last, else
    the one that the appliance came with.
    """
    change = services.profiles.activate if activation is None or activation.active else services.profiles.deactivate
    return Profile.of(change(str(uuid), key_id=caller.key))


@router.post(
    "/load_asp/{name}",
    summary="Activate a profile by name",
    dependencies=[Operators],
    responses=problems(ProfileNotFound, ProfileModelMismatch, InvalidRequest),
)
def load_profile(services: ServicesDep, caller: CallerDep, name: ProfileName) -> Profile:
    """The highest uploaded version of that name, else the packaged profile."""
    return Profile.of(services.profiles.load(name, key_id=caller.key))
