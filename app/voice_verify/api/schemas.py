"""The documents of the API, as they go over the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from voice_verify.engine import Reason
from voice_verify.errors import VoiceVerifyError
from voice_verify.services.health import Check
from voice_verify.services.speakers import SpeakerPage
from voice_verify.services.stream import EnrolmentProgress, EnrolmentState, StreamStatus
from voice_verify.services.verification import Verification
from voice_verify.store import EnrolledSpeaker

MODEL = "778e6e0451d76c06f48c472845530bcb371a8ec00a64f4bc5e3fc2c6cd3c5057"
STREAM = "6f0c2a1e-4f4e-4c53-9d0b-0c8b6f1f7a51"
MOMENT = "2026-01-31T09:30:00Z"

# Fits an e-mail address, a telephone number and most customer numbers, and needs no escaping in a path.
SpeakerId = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9+][A-Za-z0-9._@+:=~-]{0,127}$"),
    Field(description="Your identifier of the customer", examples=["customer-4711"]),
]
Seconds = Annotated[float, Field(ge=0)]


class Document(BaseModel):
    """What all documents share: unknown members are refused, and examples are given."""

    model_config = ConfigDict(extra="forbid")


class SpeakerRequest(Document):
    speaker: SpeakerId


class Quality(Document):
    snr_db: Annotated[float | None, Field(description="Speech above noise; null when unknown", examples=[24.5])]
    clipped_share: Annotated[float, Field(ge=0, le=1, description="Share of clipped samples", examples=[0.0])]


class Speaker(Document):
    """An enrolled customer and the voiceprint in force."""

    speaker: SpeakerId
    net_speech_s: Annotated[Seconds, Field(description="Speech that the voiceprint stands on", examples=[31.0])]
    quality: Quality
    model: Annotated[str, Field(description="Identity of the model that made the voiceprint", examples=[MODEL])]
    created: Annotated[datetime, Field(examples=[MOMENT])]
    updated: Annotated[datetime, Field(description="When it was last enrolled", examples=[MOMENT])]

    @classmethod
    def of(cls, enrolled: EnrolledSpeaker) -> Self:
        stored = enrolled.voiceprint
        return cls(
            speaker=enrolled.id,
            net_speech_s=stored.net_speech_s,
            quality=Quality(snr_db=stored.snr_db, clipped_share=stored.clipped_share),
            model=stored.model,
            created=enrolled.created,
            updated=enrolled.updated,
        )


class Speakers(Document):
    speakers: list[Speaker]
    next: Annotated[
        str | None,
        Field(description="`after` of the next page; null on the last one", examples=[None]),
    ]

    @classmethod
    def of(cls, page: SpeakerPage) -> Self:
        return cls(speakers=[Speaker.of(speaker) for speaker in page.speakers], next=page.next)


class AudioWindow(Document):
    """The part of the audio that a decision stands on, in seconds from its start."""

    start_s: Annotated[Seconds, Field(examples=[0.0])]
    end_s: Annotated[Seconds, Field(examples=[12.4])]


class VerificationResult(Document):
    speaker: SpeakerId
    decision: Annotated[Literal["verified", "not_sure", "not_verified"], Field(examples=["verified"])]
    score: Annotated[float | None, Field(description="Similarity, -1 to 1; null without speech", examples=[0.71])]
    log_likelihood_ratio: Annotated[
        float | None,
        Field(description="Natural logarithm of how much likelier this is the speaker than another", examples=[9.3]),
    ]
    net_speech_s: Annotated[Seconds, Field(examples=[9.0])]
    audio_window: AudioWindow
    reason: Annotated[Reason, Field(examples=["ok"])]
    profile: Annotated[str, Field(description="Name of the Audio Source Profile", examples=["mixed"])]
    model: Annotated[str, Field(description="Identity of the model", examples=[MODEL])]

    @classmethod
    def of(cls, verification: Verification) -> Self:
        decision = verification.decision
        return cls(
            speaker=verification.speaker,
            decision=decision.decision,
            score=decision.score,
            log_likelihood_ratio=decision.log_likelihood_ratio,
            net_speech_s=decision.net_speech_s,
            audio_window=AudioWindow(start_s=0.0, end_s=verification.audio_s),
            reason=decision.reason,
            profile=verification.profile,
            model=verification.model,
        )


class StreamCreated(Document):
    uuid: Annotated[UUID, Field(examples=[STREAM])]
    url: Annotated[
        str,
        Field(
            description="Where to send the audio; holds a ticket that lets one client connect, once",
            examples=[f"ws://voiceverify.example.com/stream/{STREAM}?ticket=2nUq7cF1r0wPp3o4fJxT8ABkq5h2c9dE"],
        ),
    ]
    idle_timeout_s: Annotated[
        float, Field(description="The stream ends when it gets no audio for that long", examples=[30])
    ]


class Job(Document):
    """What a stream is busy with."""

    kind: Annotated[Literal["enrolment", "verification"], Field(examples=["verification"])]
    speaker: SpeakerId


class Stream(Document):
    uuid: Annotated[UUID, Field(examples=[STREAM])]
    source: Annotated[Literal["websocket"], Field(examples=["websocket"])]
    connected: Annotated[bool, Field(examples=[True])]
    peer: Annotated[str | None, Field(description="Address of the connected client", examples=["192.0.2.7"])]
    codec: Annotated[str | None, Field(examples=["alaw"])]
    rate: Annotated[int | None, Field(description="Samples a second", examples=[8000])]
    started: Annotated[datetime, Field(examples=[MOMENT])]
    net_speech_s: Annotated[Seconds, Field(examples=[9.0])]
    audio_s: Annotated[Seconds, Field(examples=[12.4])]
    jobs: list[Job]

    @classmethod
    def of(cls, status: StreamStatus) -> Self:
        jobs = [Job(kind="verification", speaker=speaker) for speaker in status.verifying]
        if status.enrolment is not None and status.enrolment.state is EnrolmentState.collecting:
            jobs.insert(0, Job(kind="enrolment", speaker=status.enrolment.speaker))
        connection = status.connection
        return cls(
            uuid=status.uuid,
            source="websocket",
            connected=connection is not None,
            peer=connection.peer if connection else None,
            codec=connection.codec if connection else None,
            rate=connection.rate if connection else None,
            started=status.started,
            net_speech_s=status.net_speech_s,
            audio_s=status.audio_s,
            jobs=jobs,
        )


class Streams(Document):
    streams: list[Stream]


class Enrolment(Document):
    """How an enrolment from a stream stands."""

    speaker: SpeakerId
    state: Annotated[EnrolmentState, Field(examples=["collecting"])]
    net_speech_s: Annotated[Seconds, Field(examples=[12.0])]
    required_s: Annotated[Seconds, Field(description="Net speech that is needed", examples=[20.0])]
    reasons: Annotated[list[str], Field(description="Why it was refused or failed", examples=[[]])]

    @classmethod
    def of(cls, progress: EnrolmentProgress) -> Self:
        return cls(
            speaker=progress.speaker,
            state=progress.state,
            net_speech_s=progress.net_speech_s,
            required_s=progress.required_s,
            reasons=list(progress.reasons),
        )


class HealthCheck(Document):
    name: Annotated[str, Field(examples=["database"])]
    ok: Annotated[bool, Field(examples=[True])]
    problem: Annotated[str | None, Field(description="What is missing and what to do", examples=[None])]


class Health(Document):
    status: Annotated[Literal["live", "ready", "not_ready"], Field(examples=["ready"])]
    version: Annotated[str, Field(examples=["1.2.0"])]
    checks: list[HealthCheck]

    @classmethod
    def of(cls, checks: list[Check], version: str) -> Self:
        return cls(
            status="ready" if all(check.problem is None for check in checks) else "not_ready",
            version=version,
            checks=[HealthCheck(name=item.name, ok=item.problem is None, problem=item.problem) for item in checks],
        )


class FieldProblem(Document):
    field: Annotated[str, Field(examples=["body.speaker"])]
    message: Annotated[str, Field(examples=["Field required"])]


class Problem(Document):
    """RFC 9457; `code` is stable and meant for programs, `detail` says what to do and is meant for people."""

    type: Annotated[str, Field(examples=["about:blank"])] = "about:blank"
    title: Annotated[str, Field(examples=["Unprocessable Content"])]
    status: Annotated[int, Field(examples=[422])]
    code: Annotated[str, Field(examples=["invalid_request"])]
    detail: Annotated[str, Field(examples=["The request has a wrong value. See errors for each."])]
    errors: Annotated[list[FieldProblem], Field(description="Wrong values of the request, one by one")] = []
    reasons: Annotated[list[str], Field(description="Why audio was refused", examples=[[]])] = []

    @classmethod
    def of(cls, error: VoiceVerifyError, *, title: str) -> Self:
        return cls(
            title=title,
            status=error.status,
            code=error.code,
            detail=error.detail,
            errors=[FieldProblem(field=item.field, message=item.message) for item in error.errors],
            reasons=list(error.reasons),
        )
