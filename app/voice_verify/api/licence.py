"""The licence: looked at, and put in force."""

from __future__ import annotations

from fastapi import APIRouter

from voice_verify.api.dependencies import CallerDep, Operators, Readers, ServicesDep
from voice_verify.api.documented import problems
from voice_verify.api.documents.licence import LicenceInForce
from voice_verify.errors import InvalidRequest, LicenceExpired, LicenceInvalid, MalformedBody
from voice_verify.licence import SignedLicence

router = APIRouter(prefix="/licence", tags=["licence"])


@router.get("", summary="The licence in force", dependencies=[Readers], responses=problems())
def get_licence(services: ServicesDep) -> LicenceInForce:
    """The one that was put last and has not expired, else the packaged one; without any this is an evaluation."""
    return LicenceInForce.of(services.licences.standing, max_streams=services.settings.max_streams)


@router.put(
    "",
    summary="Put a licence in force",
    dependencies=[Operators],
    responses=problems(MalformedBody, LicenceInvalid, LicenceExpired, InvalidRequest),
)
def put_licence(services: ServicesDep, caller: CallerDep, signed: SignedLicence) -> LicenceInForce:
    """Takes the file that the vendor issued; it holds at once, and outlives restarts, restores and upgrades.

    A licence that was changed, that nobody whom this installation trusts has signed, or that has expired changes
    nothing. Running calls go on, also when the new licence allows fewer.
    """
    standing = services.licences.put(signed, key_id=caller.key)
    return LicenceInForce.of(standing, max_streams=services.settings.max_streams)
