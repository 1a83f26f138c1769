"""Health probes."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field

from voice_verify.api.documents.base import Document
from voice_verify.api.documents.licence import LicenceSummary
from voice_verify.services.health import Check, CheckState
from voice_verify.services.licence_standing import Standing


class HealthCheck(Document):
    name: Annotated[str, Field(examples=["database"])]
    ok: Annotated[bool, Field(examples=[True])]
    state: Annotated[CheckState, Field(description="`off` is no problem: telephony without VV_SIP_HOST")]
    problem: Annotated[str | None, Field(description="What is missing and what to do", examples=[None])]


class Health(Document):
    status: Annotated[Literal["live", "ready", "not_ready"], Field(examples=["ready"])]
    version: Annotated[str, Field(examples=["1.2.0"])]
    checks: list[HealthCheck]
    # No check: without calls the service still has work, such as to back up what it holds.
    licence: LicenceSummary

    @classmethod
    def of(cls, checks: list[Check], version: str, licence: Standing) -> Self:
        return cls(
            status="ready" if all(check.problem is None for check in checks) else "not_ready",
            version=version,
            checks=[
                HealthCheck(name=item.name, ok=item.problem is None, state=item.state, problem=item.problem)
                for item in checks
            ],
            licence=LicenceSummary.of(licence),
        )
