"""Making a voiceprint of what was heard, if that is enough and good enough."""

from __future__ import annotations

from voice_verify.engine import AudioSourceProfile, Reason, Voice
from voice_verify.errors import EnrolmentRefused
from voice_verify.services.metrics import Metrics
from voice_verify.store import EnrolledSpeaker, SpeakerStore, Voiceprint

ADVICE = {
    "not_enough_speech": "record more speech",
    "low_snr": "record with less noise",
    "clipped": "record at a lower level",
}


class EnrolmentService:
    def __init__(self, speakers: SpeakerStore, profile: AudioSourceProfile, metrics: Metrics, *, model: str) -> None:
        self._speakers = speakers
        self._profile = profile
        self._metrics = metrics
        self._model = model

    @property
    def required_s(self) -> float:
        """Seconds of net speech that an enrolment takes."""
        return self._profile.minimum_enrolment_s

    def enrol(self, speaker: str, voice: Voice) -> EnrolledSpeaker:
        """Store the voice as the voiceprint of `speaker`; it is on disk when this returns.

        Raises EnrolmentRefused with the reason, and DatabaseUnavailable.
        """
        reason = self._profile.enrolment_reason(voice)
        if voice.embedding is None or reason != "ok":
            self._metrics.enrolments.labels(reason).inc()
            raise self._refusal(voice, reason)
        voiceprint = Voiceprint(
            embedding=voice.embedding,
            net_speech_s=voice.net_speech_s,
            snr_db=voice.quality.snr_db,
            clipped_share=voice.quality.clipped_share,
            model=self._model,
        )
        enrolled = self._speakers.enrol(speaker, lambda _: voiceprint)
        self._metrics.enrolments.labels("ok").inc()
        return enrolled

    def _refusal(self, voice: Voice, reason: Reason) -> EnrolmentRefused:
        heard = f"{voice.net_speech_s:.1f} s of speech (of at least {self.required_s:g} s)"
        if voice.quality.snr_db is not None:
            heard += f", {voice.quality.snr_db:.0f} dB above the noise"
        heard += f", {voice.quality.clipped_share:.1%} clipped"
        return EnrolmentRefused(
            f"The voice was not enrolled ({reason}): heard {heard}", hint=ADVICE.get(reason, ""), reasons=[reason]
        )
