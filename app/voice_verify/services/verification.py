"""Is this the speaker? The decision, with all that a caller needs to make sense of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Literal

from voice_verify.engine import AudioSourceProfile, Quality, Voice
from voice_verify.services.metrics import Metrics
from voice_verify.services.voiceprints import KnownSpeaker, Projection, VoiceprintCache
from voice_verify.store import EnrolledSpeaker, SpeakerState

Outcome = Literal["verified", "not_sure", "not_verified"]


class Reason(StrEnum):
    """Why a decision is what it is: the closed list of the API."""

    ok = "ok"
    not_enough_speech = "not_enough_speech"
    low_snr = "low_snr"
    clipped = "clipped"
    speaker_not_enrolled = "speaker_not_enrolled"
    speaker_opted_out = "speaker_opted_out"
    speaker_expired = "speaker_expired"
    model_mismatch = "model_mismatch"
    stream_closed = "stream_closed"
    licence_expired = "licence_expired"


# The speech itself was judged, or will be once there is enough: that is what is invoiced.
JUDGED = frozenset({Reason.ok, Reason.not_enough_speech, Reason.low_snr, Reason.clipped})
BY_STATE = {
    SpeakerState.opted_out: Reason.speaker_opted_out,
    SpeakerState.expired: Reason.speaker_expired,
}
NO_PSEUDONYM = ""
SILENCE = Voice(None, 0.0, 0.0, Quality(None, 0.0))


@dataclass(frozen=True, slots=True)
class Verification:
    """The decision about `speaker` after `audio_s` seconds of audio; see `voice_verify.engine.voice.Decision`.

    `pseudonym`: of the speaker, empty when nobody is enrolled under that name. Two are equal when nothing but the
    length of the audio differs.
    """

    speaker: str
    pseudonym: str
    decision: Outcome
    reason: Reason
    score: float | None
    log_likelihood_ratio: float | None
    net_speech_s: float
    audio_s: float = field(compare=False)
    profile: str
    model: str

    @property
    def judged(self) -> bool:
        """Whether the speech was judged, and not refused for what it would be compared with."""
        return self.reason in JUDGED


class VerificationService:
    """`profile` tells the Audio Source Profile in force; `model` is the identity of the engine's model."""

    def __init__(
        self, voiceprints: VoiceprintCache, profile: Callable[[], AudioSourceProfile], metrics: Metrics, *, model: str
    ) -> None:
        self._voiceprints = voiceprints
        self._profile = profile
        self._model = model
        self._clock = metrics.clock
        self._counters = {
            outcome: metrics.verifications.labels(outcome) for outcome in ("verified", "not_sure", "not_verified")
        }

    def verify(self, speaker: str, voice: Voice, projection: Projection) -> Verification:
        """Compare and count it as a verification; `projection` is that of the stream which `voice` comes from.

        Raises DatabaseUnavailable and Undecipherable.
        """
        return self._counted(self._decide(speaker, self._voiceprints.get(speaker), voice, projection))

    def verify_at_once(self, speaker: str, voice: Voice, projection: Projection) -> Verification | None:
        """The same without ever waiting; None when the database must be asked."""
        known = self._voiceprints.recall(speaker)
        return None if known is None else self._counted(self._decide(speaker, known, voice, projection))

    def compare(self, speaker: str, voice: Voice, projection: Projection) -> Verification:
        """The same for an answer that nobody asked for; raises as `verify` does."""
        return self._decide(speaker, self._voiceprints.get(speaker), voice, projection)

    def refusal(self, speaker: str, *, licensed: bool) -> Verification | None:
        """The answer when no voice at all could verify the speaker, else None; raises as `verify` does."""
        if not licensed:
            return self._counted(self._unjudged(speaker, self.pseudonym(speaker), Reason.licence_expired, SILENCE))
        verification = self._decide(speaker, self._voiceprints.get(speaker), SILENCE, Projection())
        return None if verification.judged else self._counted(verification)

    def closed(self, speaker: str, *, net_speech_s: float, audio_s: float) -> Verification:
        """The answer about a stream that has ended."""
        heard = replace(SILENCE, net_speech_s=net_speech_s, audio_s=audio_s)
        return self._counted(self._unjudged(speaker, NO_PSEUDONYM, Reason.stream_closed, heard))

    def pseudonym(self, speaker: str) -> str:
        """That of the speaker, empty when nobody is enrolled under that name; raises as `verify` does."""
        enrolled = self._voiceprints.get(speaker).speaker
        return NO_PSEUDONYM if enrolled is None else enrolled.pseudonym

    def _counted(self, verification: Verification) -> Verification:
        self._counters[verification.decision].inc()
        return verification

    def _decide(self, speaker: str, known: KnownSpeaker, voice: Voice, projection: Projection) -> Verification:
        profile = self._profile()
        enrolled = known.speaker
        if enrolled is None:
            return self._unjudged(speaker, NO_PSEUDONYM, Reason.speaker_not_enrolled, voice)
        reason = _refused(enrolled, profile)
        if reason is not None:
            return self._unjudged(speaker, enrolled.pseudonym, reason, voice)
        if voice.embedding is None:
            return self._unjudged(speaker, enrolled.pseudonym, Reason.not_enough_speech, voice)
        with self._clock.part("scoring"):
            score = float(known.projected(enrolled, profile) @ projection.of(voice.embedding, profile))
            decision = profile.judge(score, voice)
        return Verification(
            speaker=speaker,
            pseudonym=enrolled.pseudonym,
            decision=decision.decision,
            reason=Reason[decision.reason],
            score=decision.score,
            log_likelihood_ratio=decision.log_likelihood_ratio,
            net_speech_s=decision.net_speech_s,
            audio_s=voice.audio_s,
            profile=profile.name,
            model=self._model,
        )

    def _unjudged(self, speaker: str, pseudonym: str, reason: Reason, voice: Voice) -> Verification:
        return Verification(
            speaker=speaker,
            pseudonym=pseudonym,
            decision="not_sure",
            reason=reason,
            score=None,
            log_likelihood_ratio=None,
            net_speech_s=voice.net_speech_s,
            audio_s=voice.audio_s,
            profile=self._profile().name,
            model=self._model,
        )


def _refused(enrolled: EnrolledSpeaker, profile: AudioSourceProfile) -> Reason | None:
    state = enrolled.state(datetime.now(UTC))
    if state is not SpeakerState.enrolled:
        return BY_STATE[state]
    return None if enrolled.voiceprint.model == profile.model_identity else Reason.model_mismatch
