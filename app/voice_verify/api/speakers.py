"""The enrolled speakers."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from voice_verify.api.dependencies import CallerDep, Integrators, PageSize, Readers, ServicesDep
from voice_verify.api.documented import problems
from voice_verify.api.documents.base import SpeakerId
from voice_verify.api.documents.speakers import Speaker, SpeakerPatch, Speakers
from voice_verify.errors import InvalidRequest, MalformedBody, SpeakerNotEnrolled, Undecipherable
from voice_verify.store import SpeakerState

router = APIRouter(prefix="/speakers", tags=["speakers"])


@router.get("", summary="List the speakers", dependencies=[Readers], responses=problems(InvalidRequest, Undecipherable))
def list_speakers(
    services: ServicesDep,
    limit: PageSize = 100,
    after: SpeakerId | None = None,
    state: Annotated[SpeakerState | None, Query(description="Only those of this state")] = None,
) -> Speakers:
    """In a fixed order, a page at a time: give `next` of one page as `after` of the next."""
    return Speakers.of(services.speakers.page(after=after, limit=limit, state=state))


@router.get(
    "/{speaker}",
    summary="Describe a speaker",
    dependencies=[Readers],
    responses=problems(SpeakerNotEnrolled, InvalidRequest, Undecipherable),
)
def get_speaker(services: ServicesDep, speaker: SpeakerId) -> Speaker:
    """When the speaker was enrolled, and what the voiceprint stands on; never the voiceprint itself."""
    return Speaker.of(services.speakers.get(speaker))


@router.patch(
    "/{speaker}",
    summary="Change consent, opt-out and expiry",
    dependencies=[Integrators],
    responses=problems(MalformedBody, SpeakerNotEnrolled, InvalidRequest, Undecipherable),
)
def change_speaker(services: ServicesDep, caller: CallerDep, speaker: SpeakerId, changes: SpeakerPatch) -> Speaker:
    """Changes what is given and keeps the rest; null takes a consent or an expiry away.

    Who has opted out, or is expired, is not verified: the decision is `not_sure` with reason `speaker_opted_out` or
    `speaker_expired`. Who has opted out is not enrolled again either.
    """
    return Speaker.of(services.speakers.change(speaker, changes.changes(), by=caller.key))


@router.delete(
    "/{speaker}",
    summary="Delete a speaker",
    status_code=204,
    dependencies=[Integrators],
    responses=problems(SpeakerNotEnrolled, InvalidRequest),
)
def delete_speaker(services: ServicesDep, caller: CallerDep, speaker: SpeakerId) -> None:
    """Deletes the speaker, the voiceprint, and what ties them to reports; a record of the deletion names neither."""
    services.speakers.remove(speaker, by=caller.key)
