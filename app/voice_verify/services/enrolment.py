"""Making a voiceprint of what was heard, if that is enough, good enough, and one speaker's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Literal

from voice_verify.engine import AudioSourceProfile, Quality, Voice, pool
from voice_verify.errors import EnrolmentRefused, SpeakerOptedOut
from voice_verify.services.metrics import Metrics
from voice_verify.store import EnrolledSpeaker, SpeakerStore, Voiceprint

DIFFERENT_SPEAKER = "different_speaker"
MODEL_MISMATCH = "model_mismatch"
ADVICE = {
    "not_enough_speech": "record more speech",
    "low_snr": "record with less noise",
    "clipped": "record at a lower level",
    DIFFERENT_SPEAKER: "enrol one speaker alone, or replace the voiceprint",
    MODEL_MISMATCH: "replace the voiceprint: another model made it",
}
# Below this a take says too little about whose voice it is to refuse it for that.
COMPARED_FROM_S = 5.0


Mode = Literal["replace", "add"]
"""What becomes of an earlier voiceprint of the speaker."""


class EnrolmentService:
    """`profile` tells the Audio Source Profile in force; `model` is the identity of the engine's model."""

    def __init__(
        self, speakers: SpeakerStore, profile: Callable[[], AudioSourceProfile], metrics: Metrics, *, model: str
    ) -> None:
        self._speakers = speakers
        self._profile = profile
        self._metrics = metrics
        self._model = model

    @property
    def required_s(self) -> float:
        """Seconds of net speech that an enrolment takes."""
        return self._profile().minimum_enrolment_s

    def enrol(self, speaker: str, takes: Sequence[Voice], mode: Mode = "replace") -> EnrolledSpeaker:
        """Make a voiceprint of `takes` together, alone or with the earlier one; it is on disk when this returns.

        Raises EnrolmentRefused with all reasons, SpeakerOptedOut and DatabaseUnavailable.
        """
        profile = self._profile()

        def make(known: EnrolledSpeaker | None) -> Voiceprint:
            if known is not None and known.opted_out is not None:
                raise SpeakerOptedOut(
                    "The speaker has opted out and is not enrolled",
                    hint="withdraw the opt-out first: PATCH /api/v2/speakers/{id}",
                )
            earlier = known.voiceprint if known is not None and mode == "add" else None
            return self._make(profile, takes, earlier)

        try:
            enrolled = self._speakers.enrol(speaker, make)
        except (EnrolmentRefused, SpeakerOptedOut) as error:
            self._metrics.enrolments.labels(next(iter(error.reasons), error.code)).inc()
            raise
        self._metrics.enrolments.labels("ok").inc()
        return enrolled

    def _make(self, profile: AudioSourceProfile, takes: Sequence[Voice], earlier: Voiceprint | None) -> Voiceprint:
        voice = pool(takes)
        reasons: list[str] = list(profile.enrolment_reasons(voice))
        compared = list(takes)
        if earlier is not None and earlier.model != self._model:
            reasons.append(MODEL_MISMATCH)
        elif earlier is not None:
            compared.append(_voice(earlier))
        if any(_differ(profile, one, other) for one, other in combinations(compared, 2)):
            reasons.append(DIFFERENT_SPEAKER)
        if reasons or voice.embedding is None:
            raise self._refusal(voice, reasons)
        if earlier is not None:
            voice = pool([_voice(earlier), voice])
        assert voice.embedding is not None  # noqa: S101 - pooled of voices that have one
        return Voiceprint(
            embedding=voice.embedding,
            net_speech_s=voice.net_speech_s,
            snr_db=voice.quality.snr_db,
            clipped_share=voice.quality.clipped_share,
            model=self._model,
            takes=1 if earlier is None else earlier.takes + 1,
        )

    def _refusal(self, voice: Voice, reasons: Sequence[str]) -> EnrolmentRefused:
        heard = f"{voice.net_speech_s:.1f} s of speech (of at least {self.required_s:g} s)"
        if voice.quality.snr_db is not None:
            heard += f", {voice.quality.snr_db:.0f} dB above the noise"
        heard += f", {voice.quality.clipped_share:.1%} clipped"
        return EnrolmentRefused(
            f"The voice was not enrolled ({', '.join(reasons)}): heard {heard}",
            hint="; ".join(ADVICE[reason] for reason in reasons),
            reasons=reasons,
        )


def _voice(stored: Voiceprint) -> Voice:
    """A stored voiceprint as the voice that it was made of."""
    quality = Quality(stored.snr_db, stored.clipped_share)
    return Voice(stored.embedding, stored.net_speech_s, audio_s=0.0, quality=quality)


def _differ(profile: AudioSourceProfile, one: Voice, other: Voice) -> bool:
    """Whether both are surely not one speaker's; the shorter one is judged, as a call is against an enrolment."""
    shorter, longer = sorted((one, other), key=lambda voice: voice.net_speech_s)
    if shorter.net_speech_s < COMPARED_FROM_S or longer.embedding is None:
        return False
    return profile.decide(longer.embedding, shorter).decision == "not_verified"
