"""Live streams and what they are busy with."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field

from voice_verify.api.documents.base import MOMENT, STREAM, Document, Seconds, SpeakerId
from voice_verify.api.documents.calls import Callee, Caller, CallId, OfPbx, Participant
from voice_verify.services.enrolment import Mode
from voice_verify.services.stream import EnrolmentProgress, EnrolmentState, Source, StreamStatus


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
    source: Annotated[Source, Field(examples=["websocket"])]
    connected: Annotated[bool, Field(examples=[True])]
    peer: Annotated[str | None, Field(description="Address of the connected client", examples=["192.0.2.7"])]
    call_id: CallId
    caller: Caller
    callee: Callee
    participant: Participant
    pbx: OfPbx
    protocol: Annotated[
        str | None, Field(description="Media protocol by which the audio comes, if any", examples=["twilio"])
    ]
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
            source=status.source,
            **vars(status.call),
            connected=connection is not None,
            peer=connection.peer if connection else None,
            protocol=connection.protocol if connection else None,
            codec=connection.codec if connection else None,
            rate=connection.rate if connection else None,
            started=status.started,
            net_speech_s=status.net_speech_s,
            audio_s=status.audio_s,
            jobs=jobs,
        )


class Streams(Document):
    streams: list[Stream]


class EnrolmentRequest(Document):
    speaker: SpeakerId
    mode: Annotated[
        Mode, Field(description="What becomes of an earlier voiceprint of the speaker", examples=["replace"])
    ] = "replace"


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
