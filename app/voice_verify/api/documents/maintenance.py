"""Maintenance mode."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from pydantic import Field

from voice_verify.api.documents.base import MOMENT, Document
from voice_verify.services.maintenance import MaintenanceStatus


class Maintenance(Document):
    mode: Annotated[bool, Field(description="Whether new streams and uploads are refused", examples=[True])]
    since: Annotated[datetime | None, Field(description="Last change; null when it never was on", examples=[MOMENT])]
    running_streams: Annotated[
        int, Field(ge=0, description="Streams and uploads that have not ended yet, of all processes", examples=[3])
    ]

    @classmethod
    def of(cls, status: MaintenanceStatus) -> Self:
        return cls(mode=status.mode, since=status.since, running_streams=status.running_streams)


class ForcedOff(Document):
    ended_streams: Annotated[int, Field(ge=0, description="How many streams were ended", examples=[3])]
