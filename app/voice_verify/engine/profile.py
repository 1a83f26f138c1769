"""Audio Source Profiles: how a score is made and judged for one kind of audio source."""

from __future__ import annotations

import hashlib
import json
import math
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from voice_verify.engine.errors import ProfileError
from voice_verify.engine.voice import Decision, Reason, Voice, normalise

_PACKAGE = "voice_verify.profiles"
# No figure of a profile that makes sense comes near it, and nothing computed with such figures overflows.
_LARGEST = 1e6
# Of wccn, beyond which float32 cannot tell its directions apart.
_WORST_CONDITION = 1e6


def _array(value: Any) -> NDArray[np.float32]:
    try:
        with np.errstate(over="ignore"):
            array = np.array(value, dtype=np.float32)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError("must be an array of numbers") from error
    # Written so that NaN fails, too.
    if not (np.abs(array) <= _LARGEST).all():
        raise ValueError(f"must hold finite numbers only, of at most {_LARGEST:g}")
    array.setflags(write=False)
    return array


def _numbers(array: NDArray[np.float32]) -> Any:
    # By way of text, because that has the fewest digits that give the same float32 again.
    return array.astype(str).astype(np.float64).tolist()


_READING = (BeforeValidator(_array), PlainSerializer(_numbers, when_used="unless-none"))
Vector = Annotated[
    NDArray[np.float32], *_READING, WithJsonSchema({"type": "array", "items": {"type": "number"}, "minItems": 1})
]
Matrix = Annotated[
    NDArray[np.float32],
    *_READING,
    WithJsonSchema({"type": "array", "items": {"type": "array", "items": {"type": "number"}}, "minItems": 1}),
]
Finite = Annotated[float, Field(ge=-_LARGEST, le=_LARGEST)]
Positive = Annotated[float, Field(gt=0, le=_LARGEST)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Thresholds(_Part):
    """Log-likelihood ratios: from `verified` up it is the speaker, from `not_verified` down it is not."""

    verified: Finite = math.log(99)
    not_verified: Finite = -math.log(99)

    @model_validator(mode="after")
    def ordered(self) -> Self:
        if self.not_verified >= self.verified:
            raise ValueError(f"not_verified ({self.not_verified}) must lie below verified ({self.verified})")
        return self


class FittedRange(_Part):
    """Net speech in seconds for which the calibration was fitted."""

    shortest: Positive
    longest: Positive

    @model_validator(mode="after")
    def ordered(self) -> Self:
        if self.longest < self.shortest:
            raise ValueError(f"longest ({self.longest}) must not lie below shortest ({self.shortest})")
        return self


class Limits(_Part):
    """Audio beyond these is not judged. An SNR that could not be measured does not count against it."""

    minimum_snr_db: Finite
    maximum_clipped_share: Annotated[float, Field(ge=0, le=1)]


class _Cohort(_Part):
    """Arrays `mean` and `wccn`, in a file beside the profile."""

    file: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*\.npz$")]
    sha256: Sha256


class AudioSourceProfile(_Part):
    """One profile; `load` reads it from a file, unknown keys are refused.

    `mean` (192,) and `wccn` (192, 192) normalise the within-class covariance; both or neither.
    `log_likelihood_ratio = a*s + b*ln L + c*s*ln L + d` with the score s and the net speech L in seconds.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    uuid: UUID
    version: Annotated[int, Field(ge=1, lt=2**31)]
    description: str
    model_identity: Sha256
    mean: Vector | None = None
    wccn: Matrix | None = None
    a: Finite
    b: Finite
    c: Finite
    d: Finite
    fitted_s: FittedRange
    thresholds: Thresholds = Thresholds()
    minimum_enrolment_s: Positive = 20.0
    minimum_verification_s: Positive = 1.0
    limits: Limits
    provenance: str

    @model_validator(mode="after")
    def arrays_fit(self) -> Self:
        if (self.mean is None) != (self.wccn is None):
            raise ValueError("mean and wccn come together: one of them is missing")
        if self.mean is not None and self.wccn is not None:
            size = self.mean.shape[0] if self.mean.ndim == 1 else 0
            if not size or self.wccn.shape != (size, size):
                raise ValueError(f"mean {self.mean.shape} and wccn {self.wccn.shape} do not fit together")
            # Else two different voices could fall together, or into nothing. Written so that NaN fails, too.
            if not np.linalg.cond(self.wccn) <= _WORST_CONDITION:
                raise ValueError("wccn must be invertible: check how it was learned")
        return self

    @model_validator(mode="after")
    def ratio_grows_with_the_score(self) -> Self:
        for seconds in (self.fitted_s.shortest, self.fitted_s.longest):
            if self.a + self.c * math.log(seconds) <= 0:
                raise ValueError(f"at {seconds} s a higher score would make the speaker less likely: check a and c")
        return self

    @classmethod
    def load(cls, path: Path) -> AudioSourceProfile:
        """Read a profile (JSON, with its arrays inside or in the npz that `cohort` names).

        Raises ProfileError that names every wrong key.
        """
        try:
            content = json.loads(path.read_bytes())
            if not isinstance(content, dict):
                raise ProfileError(f"{path.name} is not a profile: it is not a JSON object")
            if "cohort" in content:
                content |= _read_cohort(path, _Cohort.model_validate(content.pop("cohort")))
            return cls.model_validate(content)
        except OSError as error:
            raise ProfileError(f"{error.filename} cannot be read: {error.strerror}") from error
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, item['loc'])) or 'profile'}: {item['msg']}" for item in error.errors()
            )
            raise ProfileError(f"{path.name} has {error.error_count()} wrong value(s): {problems}") from error
        except ValueError as error:
            raise ProfileError(f"{path.name} is not a profile: {error}") from error

    @property
    def dimensions(self) -> int | None:
        """Of the embeddings that the profile takes; None when it takes any."""
        return None if self.mean is None else len(self.mean)

    def project(self, embedding: NDArray[np.float32]) -> NDArray[np.float32]:
        """The embedding (192,) after normalising the within-class covariance, scaled to length 1."""
        if self.mean is not None and self.wccn is not None:
            return normalise(((embedding - self.mean) @ self.wccn).astype(np.float32))
        return normalise(embedding)

    def score(self, voiceprint: NDArray[np.float32], embedding: NDArray[np.float32]) -> float:
        """Cosine of both embeddings (192,) after normalising the within-class covariance, -1 to 1."""
        return float(np.dot(self.project(voiceprint), self.project(embedding)))

    def log_likelihood_ratio(self, score: float, net_speech_s: float) -> float:
        """Natural logarithm of how much likelier the score is for the speaker than for another.

        The seconds of net speech are clamped to the fitted range: the formula says nothing beyond it.
        """
        clamped = min(max(net_speech_s, self.fitted_s.shortest), self.fitted_s.longest)
        duration = math.log(clamped)
        return self.a * score + self.b * duration + self.c * score * duration + self.d

    def decide(self, voiceprint: NDArray[np.float32], voice: Voice, *, voiceprint_model: str | None = None) -> Decision:
        """Whether `voice` is the speaker of `voiceprint` (192,), made by the model `voiceprint_model`.

        Without `voiceprint_model` the voiceprint is taken to be of this profile's model. Audio that cannot be judged
        is `not_sure`, with the reason.
        """
        if voiceprint_model not in (None, self.model_identity):
            return Decision("not_sure", None, None, voice.net_speech_s, "model_mismatch")
        if voice.embedding is None:
            return Decision("not_sure", None, None, voice.net_speech_s, "not_enough_speech")
        return self.judge(self.score(voiceprint, voice.embedding), voice)

    def judge(self, score: float, voice: Voice) -> Decision:
        """The decision that follows from a score of `voice`, and from how good it is."""
        ratio = self.log_likelihood_ratio(score, voice.net_speech_s)
        reason: Reason = next(iter(self._faults(voice, self.minimum_verification_s)), "ok")
        decision: Literal["verified", "not_sure", "not_verified"] = "not_sure"
        if reason == "ok" and ratio >= self.thresholds.verified:
            decision = "verified"
        elif reason == "ok" and ratio <= self.thresholds.not_verified:
            decision = "not_verified"
        return Decision(decision, score, ratio, voice.net_speech_s, reason)

    def enrolment_reasons(self, voice: Voice) -> tuple[Reason, ...]:
        """All that keeps `voice` from becoming a voiceprint; nothing when it is good enough."""
        return self._faults(voice, self.minimum_enrolment_s)

    def _faults(self, voice: Voice, minimum_s: float) -> tuple[Reason, ...]:
        faults: list[Reason] = []
        if voice.embedding is None or voice.net_speech_s < minimum_s:
            faults.append("not_enough_speech")
        if voice.quality.clipped_share > self.limits.maximum_clipped_share:
            faults.append("clipped")
        if voice.quality.snr_db is not None and voice.quality.snr_db < self.limits.minimum_snr_db:
            faults.append("low_snr")
        return tuple(faults)


def _read_cohort(path: Path, cohort: _Cohort) -> dict[str, NDArray[np.float32]]:
    beside = path.with_name(cohort.file)
    found = hashlib.sha256(beside.read_bytes()).hexdigest()
    if found != cohort.sha256:
        raise ProfileError(f"{cohort.file} is not the file that {path.name} names: sha256 {found}")
    with np.load(beside, allow_pickle=False) as arrays:
        if set(arrays.files) != {"mean", "wccn"}:
            raise ProfileError(f"{cohort.file} must hold mean and wccn, it holds {', '.join(arrays.files)}")
        return {name: arrays[name] for name in arrays.files}


def packaged_profiles() -> list[str]:
    """The names of the profiles that come with the service."""
    folder = Path(str(files(_PACKAGE)))
    return sorted(path.stem for path in folder.glob("*.json"))


def packaged_profile(name: str) -> AudioSourceProfile:
    """The packaged profile `name`. Raises ProfileError when there is none of that name."""
    if name not in packaged_profiles():
        raise ProfileError(
            f"there is no packaged profile {name!r}", hint=f"the packaged ones are {', '.join(packaged_profiles())}"
        )
    return AudioSourceProfile.load(Path(str(files(_PACKAGE))) / f"{name}.json")
