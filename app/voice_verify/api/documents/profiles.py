"""Audio Source Profiles."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field, StrictBool

from voice_verify.api.documents.base import MODEL, MOMENT, Document, Seconds
from voice_verify.engine import AudioSourceProfile
from voice_verify.services.profiles import KnownProfile, Origin

PROFILE = "3d0c55c4-6f0b-4a55-9c07-0d5b8c7f6e21"

# Without its arrays, which hold 37,056 numbers.
UPLOAD: dict[str, Any] = {
    "name": "support-line",
    "uuid": PROFILE,
    "version": 2,
    "description": "Fitted on calls of the support line",
    "model_identity": MODEL,
    "a": 16.0,
    "b": -4.1,
    "c": 4.2,
    "d": -6.2,
    "fitted_s": {"shortest": 1, "longest": 20},
    "thresholds": {"verified": 4.6, "not_verified": -4.6},
    "minimum_enrolment_s": 20,
    "minimum_verification_s": 1,
    "limits": {"minimum_snr_db": 3.0, "maximum_clipped_share": 0.02},
    "provenance": "vvctl profile fit, 120 speakers, 2026-01-31",
}


class ProfileSummary(Document):
    uuid: Annotated[UUID, Field(examples=[PROFILE])]
    name: Annotated[str, Field(examples=["support-line"])]
    version: Annotated[int, Field(examples=[2])]
    description: Annotated[str, Field(examples=[UPLOAD["description"]])]
    origin: Annotated[Origin, Field(description="Packaged ones cannot be removed", examples=["uploaded"])]
    active: Annotated[bool, Field(description="Whether it is the one that decides", examples=[True])]
    uploaded: Annotated[datetime | None, Field(description="null for packaged ones", examples=[MOMENT])]
    problem: Annotated[str | None, Field(description="Why it cannot be activated; null when it can", examples=[None])]

    @classmethod
    def of(cls, known: KnownProfile) -> Self:
        return cls(**_summary(known))


class Profiles(Document):
    profiles: list[ProfileSummary]


class Calibration(Document):
    """`log_likelihood_ratio = a*s + b*ln L + c*s*ln L + d`: score s, net speech L in seconds."""

    a: Annotated[float, Field(examples=[16.0])]
    b: Annotated[float, Field(examples=[-4.1])]
    c: Annotated[float, Field(examples=[4.2])]
    d: Annotated[float, Field(examples=[-6.2])]
    shortest_s: Annotated[Seconds, Field(description="L is clamped from here", examples=[1.0])]
    longest_s: Annotated[Seconds, Field(description="to here", examples=[20.0])]


class Thresholds(Document):
    """Of the log-likelihood ratio."""

    verified: Annotated[float, Field(description="Verified from here up", examples=[4.6])]
    not_verified: Annotated[float, Field(description="Not verified from here down", examples=[-4.6])]


class QualityLimits(Document):
    minimum_snr_db: Annotated[float, Field(examples=[3.0])]
    maximum_clipped_share: Annotated[float, Field(examples=[0.02])]


class Profile(ProfileSummary):
    """All of a profile but its arrays."""

    model: Annotated[str, Field(description="Identity of the model that it was made for", examples=[MODEL])]
    normalised: Annotated[bool, Field(description="Whether it normalises within-class covariance", examples=[True])]
    calibration: Calibration
    thresholds: Thresholds
    limits: QualityLimits
    minimum_enrolment_s: Annotated[Seconds, Field(description="Net speech that an enrolment takes", examples=[20.0])]
    minimum_verification_s: Annotated[Seconds, Field(description="Net speech that a decision takes", examples=[1.0])]
    provenance: Annotated[str, Field(description="What it was fitted on", examples=[UPLOAD["provenance"]])]

    @classmethod
    def of(cls, known: KnownProfile) -> Self:
        profile: AudioSourceProfile = known.profile
        return cls(
            **_summary(known),
            model=profile.model_identity,
            normalised=profile.wccn is not None,
            calibration=Calibration(
                a=profile.a,
                b=profile.b,
                c=profile.c,
                d=profile.d,
                shortest_s=profile.fitted_s.shortest,
                longest_s=profile.fitted_s.longest,
            ),
            thresholds=Thresholds(**profile.thresholds.model_dump()),
            limits=QualityLimits(**profile.limits.model_dump()),
            minimum_enrolment_s=profile.minimum_enrolment_s,
            minimum_verification_s=profile.minimum_verification_s,
            provenance=profile.provenance,
        )


class ProfileActivation(Document):
    active: Annotated[StrictBool, Field(description="false: it shall decide no longer", examples=[True])] = True


def _summary(known: KnownProfile) -> dict[str, Any]:
    return {
        "uuid": known.profile.uuid,
        "name": known.profile.name,
        "version": known.profile.version,
        "description": known.profile.description,
        "origin": known.origin,
        "active": known.active,
        "uploaded": known.uploaded,
        "problem": known.problem,
    }
