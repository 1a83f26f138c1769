"""Enrolled customers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from pydantic import Field

from voice_verify.api.documents.base import MODEL, MOMENT, Document, Seconds, SpeakerId
from voice_verify.services.speakers import SpeakerPage
from voice_verify.store import EnrolledSpeaker


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
