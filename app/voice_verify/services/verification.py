"""Is this the speaker? The engine's decision, with all that a caller needs to make sense of it."""

from __future__ import annotations

from dataclasses import dataclass

from voice_verify.engine import AudioSourceProfile, Decision, Voice
from voice_verify.errors import SpeakerNotEnrolled
from voice_verify.services.metrics import Metrics
from voice_verify.store import SpeakerStore, Voiceprint


@dataclass(frozen=True)
class Verification:
    """The decision about `speaker` after `audio_s` seconds of audio."""

    speaker: str
    decision: Decision
    audio_s: float
    profile: str
    model: str


class VerificationService:
    def __init__(self, speakers: SpeakerStore, profile: AudioSourceProfile, metrics: Metrics, *, model: str) -> None:
        self._speakers = speakers
        self._profile = profile
        self._metrics = metrics
        self._model = model

    def voiceprint(self, speaker: str) -> Voiceprint:
        """The voiceprint to compare with.

        Raises SpeakerNotEnrolled and DatabaseUnavailable.
        """
        enrolled = self._speakers.get(speaker)
        if enrolled is None:
            raise SpeakerNotEnrolled("Nobody is enrolled under this identifier", hint="enrol the speaker first")
        return enrolled.voiceprint

    def verify(self, speaker: str, voice: Voice) -> Verification:
        """Compare and count it as a verification; raises as `voiceprint` does."""
        verification = self.compare(speaker, voice)
        self._metrics.verifications.labels(verification.decision.decision).inc()
        return verification

    def compare(self, speaker: str, voice: Voice) -> Verification:
        """Compare `voice` with the voiceprint in force; raises as `voiceprint` does."""
        stored = self.voiceprint(speaker)
        return Verification(
            speaker=speaker,
            decision=self._profile.decide(stored.embedding, voice, voiceprint_model=stored.model),
            audio_s=voice.audio_s,
            profile=self._profile.name,
            model=self._model,
        )
