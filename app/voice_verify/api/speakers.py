"""The enrolled speakers."""

from __future__ import annotations

from fastapi import APIRouter

from voice_verify.api.dependencies import Integrators, PageSize, Readers, ServicesDep
from voice_verify.api.documented import problems
from voice_verify.api.documents.base import SpeakerId
from voice_verify.api.documents.speakers import Speaker, Speakers
from voice_verify.errors import InvalidRequest, SpeakerNotEnrolled

router = APIRouter(prefix="/speakers", tags=["speakers"])


@router.get("", summary="List the speakers", dependencies=[Readers], responses=problems(InvalidRequest))
def list_speakers(services: ServicesDep, limit: PageSize = 100, after: SpeakerId | None = None) -> Speakers:
    """In a fixed order, a page at a time: give `next` of one page as `after` of the next."""
    return Speakers.of(services.speakers.page(after=after, limit=limit))


@router.get(
    "/{speaker}",
    summary="Describe a speaker",
    dependencies=[Readers],
    responses=problems(SpeakerNotEnrolled, InvalidRequest),
)
def get_speaker(services: ServicesDep, speaker: SpeakerId) -> Speaker:
    """When the speaker was enrolled, and what the voiceprint stands on; never the voiceprint itself."""
    return Speaker.of(services.speakers.get(speaker))


@router.delete(
    "/{speaker}",
    summary="Delete a speaker",
    status_code=204,
    dependencies=[Integrators],
    responses=problems(SpeakerNotEnrolled, InvalidRequest),
)
def delete_speaker(services: ServicesDep, speaker: SpeakerId) -> None:
    """Deletes the speaker with the voiceprint."""
    services.speakers.remove(speaker)
