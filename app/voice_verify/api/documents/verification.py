"""The answer to a verification."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field

from voice_verify.api.documents.base import MODEL, Document, Seconds, SpeakerId
from voice_verify.services.verification import Outcome, Reason, Verification


class AudioWindow(Document):
    """The part of the audio that a decision stands on, in seconds from its start."""

    start_s: Annotated[Seconds, Field(examples=[0.0])]
    end_s: Annotated[Seconds, Field(examples=[12.4])]


class VerificationResult(Document):
    speaker: SpeakerId
    decision: Annotated[Outcome, Field(examples=["verified"])]
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
        return cls(
            speaker=verification.speaker,
            decision=verification.decision,
            score=verification.score,
            log_likelihood_ratio=verification.log_likelihood_ratio,
            net_speech_s=verification.net_speech_s,
            audio_window=AudioWindow(start_s=0.0, end_s=verification.audio_s),
            reason=verification.reason,
            profile=verification.profile,
            model=verification.model,
        )
