"""Enrolled customers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Self

from pydantic import Field

from voice_verify.api.documents.base import MODEL, MOMENT, Document, Moment, Seconds, SpeakerId, line_of_text
from voice_verify.services.speakers import SpeakerChanges, SpeakerPage
from voice_verify.store import Consent as GivenConsent
from voice_verify.store import EnrolledSpeaker, SpeakerState


class SpeakerRequest(Document):
    speaker: SpeakerId


class Quality(Document):
    snr_db: Annotated[float | None, Field(description="Speech above noise; null when unknown", examples=[24.5])]
    clipped_share: Annotated[float, Field(ge=0, le=1, description="Share of clipped samples", examples=[0.0])]


class Consent(Document):
    """That the customer agreed, as you have it on record."""

    given_at: Annotated[Moment, Field(examples=[MOMENT])]
    reference: Annotated[
        Annotated[str, line_of_text(0, 256)] | None,
        Field(description="Where it is on record, in your own words", examples=["contract 2026/4711"]),
    ] = None


class SpeakerPatch(Document):
    """What shall be changed; what is missing stays as it is."""

    consent: Annotated[
        Consent | None,
        Field(examples=[{"given_at": MOMENT, "reference": "contract 2026/4711"}]),
    ] = None
    opted_out: Annotated[bool, Field(examples=[True])] = False
    expires_at: Annotated[Moment | None, Field(examples=[MOMENT])] = None

    def changes(self) -> SpeakerChanges:
        changes = SpeakerChanges()
        if "consent" in self.model_fields_set:
            given = self.consent
            changes["consent"] = None if given is None else GivenConsent(given.given_at, given.reference)
        if "opted_out" in self.model_fields_set:
            changes["opted_out"] = self.opted_out
        if "expires_at" in self.model_fields_set:
            changes["expires"] = self.expires_at
        return changes


class Speaker(Document):
    """An enrolled customer and the voiceprint in force."""

    speaker: SpeakerId
    net_speech_s: Annotated[Seconds, Field(description="Speech that the voiceprint stands on", examples=[31.0])]
    quality: Quality
    model: Annotated[str, Field(description="Identity of the model that made the voiceprint", examples=[MODEL])]
    created: Annotated[datetime, Field(examples=[MOMENT])]
    updated: Annotated[datetime, Field(description="When it was last enrolled", examples=[MOMENT])]
    takes: Annotated[int, Field(description="Enrolments that the voiceprint is made of", examples=[1])]
    state: Annotated[SpeakerState, Field(description="Only who is `enrolled` is verified", examples=["enrolled"])]
    consent: Annotated[Consent | None, Field(examples=[{"given_at": MOMENT, "reference": "contract 2026/4711"}])]
    opted_out: Annotated[bool, Field(examples=[False])]
    expires_at: Annotated[datetime | None, Field(description="When the state becomes `expired`", examples=[MOMENT])]

    @classmethod
    def of(cls, enrolled: EnrolledSpeaker) -> Self:
        stored, consent = enrolled.voiceprint, enrolled.consent
        return cls(
            speaker=enrolled.id,
            net_speech_s=stored.net_speech_s,
            quality=Quality(snr_db=stored.snr_db, clipped_share=stored.clipped_share),
            model=stored.model,
            created=enrolled.created,
            updated=enrolled.updated,
            takes=stored.takes,
            state=enrolled.state(datetime.now(UTC)),
            consent=None if consent is None else Consent(given_at=consent.given_at, reference=consent.reference),
            opted_out=enrolled.opted_out is not None,
            expires_at=enrolled.expires,
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
