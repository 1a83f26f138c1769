"""What is invoiced."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Self

from pydantic import Field

from voice_verify.api.documents.base import Document
from voice_verify.services.usage import Counts, Granularity, Usage

MS_PER_MINUTE = 60_000

Count = Annotated[int, Field(ge=0, examples=[12])]


class UsageCounts(Document):
    enrolments: Annotated[Count, Field(description="Voiceprints stored and acknowledged", examples=[12])]
    verifications: Annotated[
        Count, Field(description="Recordings verified, and speakers verified on each stream", examples=[340])
    ]
    identifications: Annotated[
        Count, Field(description="Always 0: this service does not search for unknown speakers", examples=[0])
    ]
    stream_ms: Annotated[Count, Field(description="Audio of streams in milliseconds, exact", examples=[61_234_500])]
    stream_minutes: Annotated[float, Field(ge=0, description="The same in minutes, rounded", examples=[1020.575])]

    @classmethod
    def of(cls, counts: Counts) -> Self:
        return cls(**vars(counts), stream_minutes=round(counts.stream_ms / MS_PER_MINUTE, 3))


class UsagePeriod(UsageCounts):
    period: Annotated[str, Field(description="2026-01-31, or 2026-01 by month", examples=["2026-01-31"])]


class UsageReport(Document):
    first: Annotated[date, Field(alias="from", description="First day, UTC", examples=["2026-01-01"])]
    end: Annotated[date, Field(alias="to", description="The day after the last one, UTC", examples=["2026-02-01"])]
    granularity: Annotated[Granularity, Field(examples=["day"])]
    periods: Annotated[list[UsagePeriod], Field(description="In order; those without any action are left out")]
    totals: UsageCounts

    @classmethod
    def of(cls, usage: Usage) -> Self:
        return cls.model_validate(
            {
                "from": usage.first,
                "to": usage.end,
                "granularity": usage.granularity,
                "periods": [UsagePeriod(period=name, **dict(UsageCounts.of(counts))) for name, counts in usage.periods],
                "totals": UsageCounts.of(usage.totals),
            }
        )

    def table(self) -> tuple[list[str], list[list[object]]]:
        """Header and rows; the last row holds the totals."""
        columns = list(UsageCounts.model_fields)
        named = [(item.period, item) for item in self.periods] + [("total", self.totals)]
        return ["period", *columns], [[name, *(getattr(item, column) for column in columns)] for name, item in named]
