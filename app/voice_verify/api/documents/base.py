"""What all documents of the API share."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from voice_verify.services import records
from voice_verify.services.speakers import SPEAKER_ID

MODEL = "778e6e0451d76c06f48c472845530bcb371a8ec00a64f4bc5e3fc2c6cd3c5057"
STREAM = "6f0c2a1e-4f4e-4c53-9d0b-0c8b6f1f7a51"
PBX = "b5b0a1c8-7e0c-4c0f-8f57-6d1f4f0f5a10"
MOMENT = "2026-01-31T09:30:00Z"

SpeakerId = Annotated[
    str,
    StringConstraints(pattern=SPEAKER_ID),
    Field(description="Your identifier of the customer", examples=["customer-4711"]),
]
Seconds = Annotated[float, Field(ge=0)]


def line_of_text(shortest: int, longest: int) -> StringConstraints:
    """Of a text without control characters, which no database takes and no list shows."""
    return StringConstraints(min_length=shortest, max_length=longest, pattern=r"^[^\x00-\x1f\x7f]*$")


def _written(value: object) -> object:
    # Numbers would be taken for seconds since 1970, which the schema does not say.
    if not isinstance(value, date) and not (isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\d", value)):
        raise ValueError("must be written as in ISO 8601")
    return value


Day = Annotated[date, BeforeValidator(_written)]
Moment = Annotated[records.Moment, BeforeValidator(_written)]
"""A moment of a request, with its time zone; kept in UTC."""


class Document(BaseModel):
    """What all documents share: unknown members are refused, and examples are given."""

    model_config = ConfigDict(extra="forbid")
