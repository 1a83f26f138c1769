"""Errors, RFC 9457."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field

from voice_verify.api.documents.base import Document
from voice_verify.errors import VoiceVerifyError


class FieldProblem(Document):
    field: Annotated[str, Field(examples=["body.speaker"])]
    message: Annotated[str, Field(examples=["Field required"])]


class Problem(Document):
    """RFC 9457; `code` is stable and meant for programs, `detail` says what to do and is meant for people."""

    type: Annotated[str, Field(examples=["about:blank"])] = "about:blank"
    title: Annotated[str, Field(examples=["Unprocessable Content"])]
    status: Annotated[int, Field(examples=[422])]
    code: Annotated[str, Field(examples=["invalid_request"])]
    detail: Annotated[str, Field(examples=["The request has a wrong value. See errors for each."])]
    errors: Annotated[
        list[FieldProblem], Field(default_factory=list, description="Wrong values of the request, one by one")
    ]
    reasons: Annotated[list[str], Field(default_factory=list, description="Why audio was refused", examples=[[]])]

    @classmethod
    def of(cls, error: VoiceVerifyError, *, title: str) -> Self:
        return cls(
            title=title,
            status=error.status,
            code=error.code,
            detail=error.detail,
            errors=[FieldProblem(field=item.field, message=item.message) for item in error.errors],
            reasons=list(error.reasons),
        )
