"""Enrolment and verification from uploaded recordings."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, File, Form, UploadFile

from voice_verify.api.dependencies import CallerDep, Integrators, IntegratorsAndOperators, ServicesDep
from voice_verify.api.documented import problems
from voice_verify.api.documents.base import SpeakerId
from voice_verify.api.documents.speakers import Speaker
from voice_verify.api.documents.verification import VerificationResult
from voice_verify.errors import (
    AudioEmpty,
    AudioTooLong,
    AudioUnreadable,
    EngineRestarted,
    EngineUnavailable,
    EnrolmentRefused,
    InvalidRequest,
    LicenceExpired,
    MaintenanceMode,
    MalformedBody,
    Overloaded,
    SpeakerOptedOut,
    TooManyRecordings,
    UploadTooLarge,
)
from voice_verify.services.enrolment import Mode
from voice_verify.services.keys import Role

router = APIRouter(tags=["recordings"])

FORMATS = "WAV (PCM, A-law, µ-law), FLAC or Ogg/Opus; any sample rate, stereo is mixed down"


@router.post(
    "/enroll",
    summary="Enrol a speaker from recordings",
    dependencies=[Integrators],
    responses=problems(
        MalformedBody,
        UploadTooLarge,
        InvalidRequest,
        AudioUnreadable,
        AudioEmpty,
        AudioTooLong,
        TooManyRecordings,
        EnrolmentRefused,
        SpeakerOptedOut,
        LicenceExpired,
        Overloaded,
        EngineUnavailable,
        EngineRestarted,
        MaintenanceMode,
    ),
)
def enroll(
    services: ServicesDep,
    speaker: Annotated[SpeakerId, Form()],
    recording: Annotated[list[UploadFile], File(min_length=1, description=f"One or more recordings: {FORMATS}")],
    mode: Annotated[Mode, Form(description="`add` joins the voice with the earlier voiceprint")] = "replace",
) -> Speaker:
    """Makes a voiceprint of the voice in all recordings together; it is on disk when this answers.

    Refused with all `reasons` that apply: `not_enough_speech`, `low_snr`, `clipped`; `different_speaker` when two
    recordings, or one and the voiceprint that it shall be added to, are not of one voice; `model_mismatch` when
    another model made that voiceprint.
    """
    return Speaker.of(services.recordings.enrol(speaker, [upload.file for upload in recording], mode))


@router.post(
    "/verify",
    summary="Verify a speaker from a recording",
    dependencies=[IntegratorsAndOperators],
    responses=problems(
        MalformedBody,
        UploadTooLarge,
        InvalidRequest,
        AudioUnreadable,
        AudioEmpty,
        AudioTooLong,
        Overloaded,
        EngineUnavailable,
        EngineRestarted,
        MaintenanceMode,
    ),
)
def verify(
    services: ServicesDep,
    caller: CallerDep,
    speaker: Annotated[SpeakerId, Form()],
    recording: Annotated[UploadFile, File(description=f"One recording: {FORMATS}")],
) -> VerificationResult:
    """Compares the voice in the recording with the voiceprint of the speaker.

    With too little speech the decision is `not_sure` with reason `not_enough_speech`; after the licence has expired,
    with reason `licence_expired`.

    An operator may ask in maintenance mode, too, to see whether a known voice is still known; that is neither
    invoiced nor reported.
    """
    by_operator = caller.may([Role.operator])
    return VerificationResult.of(services.recordings.verify(speaker, recording.file, by_operator=by_operator))
