"""Live streams: opened, looked at, asked, ended. Their audio comes over `voice_verify.api.websocket`."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request

from voice_verify.api.dependencies import Integrators, Readers, ServicesDep
from voice_verify.api.documented import problems
from voice_verify.api.documents.speakers import SpeakerRequest
from voice_verify.api.documents.streams import Enrolment, EnrolmentRequest, Stream, StreamCreated, Streams
from voice_verify.api.documents.verification import VerificationResult
from voice_verify.errors import (
    EngineUnavailable,
    EnrolmentNotFound,
    EnrolmentRefused,
    EnrolmentRunning,
    FeatureNotLicensed,
    InvalidRequest,
    LicenceExceeded,
    LicenceExpired,
    MaintenanceMode,
    MalformedBody,
    Overloaded,
    SpeakerOptedOut,
    StreamFailed,
    StreamNotFound,
    TooManyStreams,
)
from voice_verify.services.events import EndReason

router = APIRouter(prefix="/streams", tags=["streams"])


@router.post(
    "/{uuid}/verify",
    summary="Verify on a stream",
    dependencies=[Integrators],
    responses=problems(MalformedBody, StreamNotFound, InvalidRequest, StreamFailed),
)
def verify_on_stream(services: ServicesDep, uuid: UUID, request: SpeakerRequest) -> VerificationResult:
    """The decision now, on all that was heard so far; may be asked several times a second.

    It is also sent as the event `decision`, and sent again whenever more speech moves it. What cannot be judged is
    `not_sure`, with the reason; a stream that has ended and is in the reports says `stream_closed`.
    """
    # What can be answered from memory was answered before it came here: `voice_verify.api.at_once`.
    return VerificationResult.of(services.streams.verify(uuid, request.speaker))


@router.post(
    "",
    summary="Open a stream",
    status_code=201,
    dependencies=[Integrators],
    responses=problems(
        TooManyStreams,
        Overloaded,
        EngineUnavailable,
        MaintenanceMode,
        LicenceExpired,
        LicenceExceeded,
        FeatureNotLicensed,
    ),
)
def create_stream(request: Request, services: ServicesDep) -> StreamCreated:
    """Opens a stream and returns where to send its audio.

    Connect a WebSocket to `url`, adding `&codec=pcm_s16le|alaw|mulaw` (default `pcm_s16le`) and
    `&rate=8000|16000` (default `8000`), and send the audio as binary frames of any length, at the pace of speech.
    Frames hold one channel, unless `&channel=0|1|mix` says that two are interleaved and which one is heard. A stream
    without a frame, or with silence only, is ended after the configured time.

    The service sends events as JSON text frames: `speech`, `enrolled`, `decision`, `error`, `end`; a `decision` has
    the members of the answer to a verification, `enrolled` those of a speaker.

    The ticket in `url` lets one client connect, once. With a key a client may connect again after it lost its
    connection, until the idle timeout: by the header `Authorization: Bearer KEY`, or, where headers cannot be set,
    by the subprotocols `vv.v2, vv.key.KEY`. Closing the WebSocket with code 1000 or 1001 ends the stream.
    """
    stream, ticket = services.streams.create()
    settings = services.settings
    return StreamCreated(
        uuid=stream.uuid,
        url=f"{_websocket_base(request, settings.public_ws_url)}/stream/{stream.uuid}?ticket={ticket}",
        idle_timeout_s=settings.stream_idle_s,
    )


def _websocket_base(request: Request, public_url: str) -> str:
    """Where audio is sent to: with TLS by those who asked with TLS, whatever is configured for the others."""
    base = (public_url or f"ws://{request.url.netloc}").rstrip("/")
    return base.replace("ws://", "wss://", 1) if request.url.scheme == "https" else base


@router.get("", summary="List the running streams", dependencies=[Readers], responses=problems())
def list_streams(services: ServicesDep) -> Streams:
    """Oldest first."""
    return Streams(streams=[Stream.of(stream.status()) for stream in services.streams.all()])


@router.get(
    "/{uuid}",
    summary="Describe a stream",
    dependencies=[Readers],
    responses=problems(StreamNotFound, InvalidRequest, StreamFailed),
)
def get_stream(services: ServicesDep, uuid: UUID) -> Stream:
    return Stream.of(services.streams.get(uuid).status())


@router.delete(
    "/{uuid}",
    summary="End a stream",
    status_code=204,
    dependencies=[Integrators],
    responses=problems(StreamNotFound, InvalidRequest, StreamFailed),
)
def delete_stream(services: ServicesDep, uuid: UUID) -> None:
    """Ends the stream after all that it sent was heard; a connected client gets its last events."""
    services.streams.end(services.streams.get(uuid).uuid, EndReason.deleted)


@router.post(
    "/{uuid}/enroll",
    summary="Enrol from a stream",
    status_code=202,
    dependencies=[Integrators],
    responses=problems(
        MalformedBody, StreamNotFound, EnrolmentRunning, SpeakerOptedOut, InvalidRequest, EnrolmentRefused, StreamFailed
    ),
)
def enroll_from_stream(services: ServicesDep, uuid: UUID, request: EnrolmentRequest) -> Enrolment:
    """Collects speech until there is enough, checks its quality, then stores the voiceprint.

    What the stream sent before counts. Asking again tells how far it is; the event `enrolled` tells when it is done.
    """
    return Enrolment.of(services.streams.get(uuid).enrol(request.speaker, request.mode))


@router.get(
    "/{uuid}/enroll",
    summary="Follow an enrolment",
    dependencies=[Readers],
    responses=problems(StreamNotFound, EnrolmentNotFound, InvalidRequest, StreamFailed),
)
def get_enrolment(services: ServicesDep, uuid: UUID) -> Enrolment:
    return Enrolment.of(services.streams.get(uuid).enrolment())
