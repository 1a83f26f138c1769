"""What is invoiced, by day or month."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from voice_verify.api import tables
from voice_verify.api.dependencies import Billing, ServicesDep
from voice_verify.api.documented import problems
from voice_verify.api.documents.base import Day
from voice_verify.api.documents.usage import UsageReport
from voice_verify.errors import InvalidRequest
from voice_verify.services.usage import Granularity

router = APIRouter(tags=["billing"])

# Beyond it no day follows, or none that a database takes.
FIRST_DAY, LAST_DAY = date(1970, 1, 1), date(9000, 1, 1)
EXAMPLE = """\
period,enrolments,verifications,identifications,stream_ms,stream_minutes\r
2026-01-31,12,340,0,61234500,1020.575\r
total,12,340,0,61234500,1020.575\r
"""

FromDay = Annotated[
    Day | None,
    Query(alias="from", ge=FIRST_DAY, le=LAST_DAY, description="First day; default: the first of this month"),
]
ToDay = Annotated[
    Day | None, Query(alias="to", ge=FIRST_DAY, le=LAST_DAY, description="The day after the last; default: tomorrow")
]


@router.get(
    "/logging_aggregate",
    summary="Count invoiceable actions",
    dependencies=[Billing],
    response_model=UsageReport,
    responses=problems(InvalidRequest) | tables.documented(EXAMPLE),
)
def logging_aggregate(
    request: Request,
    services: ServicesDep,
    first: FromDay = None,
    end: ToDay = None,
    granularity: Granularity = Granularity.day,
) -> UsageReport | Response:
    """Exact counts from the day `from` until before the day `to`, both UTC, by day or month, and their totals.

    Without `to` they are cumulative since `from`, so that one call exports the cycle so far. A speaker who is verified
    many times on one stream is one verification; what cannot be compared (nobody enrolled, opted out, expired, another
    model) is none. There is no identification: the count is there for those who expect it, and always 0. JSON, or CSV
    with `Accept: text/csv`.
    """
    report = UsageReport.of(services.usage.aggregate(first, end, granularity))
    return tables.csv_response(*report.table()) if tables.wants_csv(request) else report
