"""Reports of ended streams."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from voice_verify.api import tables
from voice_verify.api.dependencies import PageSize, Readers, ServicesDep
from voice_verify.api.documented import problems
from voice_verify.api.documents.base import MOMENT, STREAM, Moment, SpeakerId
from voice_verify.api.documents.reports import StreamReport, StreamReports, table
from voice_verify.errors import InvalidRequest, ReportNotFound

router = APIRouter(prefix="/reports", tags=["reports"])

# Beyond it no database takes a moment, in whatever time zone it is given.
FIRST_MOMENT, LAST_MOMENT = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
EXAMPLE = f"""\
uuid,source,peer,codec,call_id,caller,callee,participant,pbx,started,ended,end_reason,net_speech_s,audio_s,kind,\
speaker,first,last,count,outcome,reason,score,log_likelihood_ratio,event_net_speech_s,profile\r
{STREAM},websocket,192.0.2.7,alaw,,,,,,{MOMENT},{MOMENT},client_closed,9.0,12.4,verification,customer-4711,\
{MOMENT},{MOMENT},14,verified,ok,0.71,9.3,9.0,mixed\r
"""

FromMoment = Annotated[
    Moment | None,
    Query(alias="from", ge=FIRST_MOMENT, le=LAST_MOMENT, description="Streams that started from then on"),
]
ToMoment = Annotated[Moment | None, Query(alias="to", ge=FIRST_MOMENT, le=LAST_MOMENT, description="and before then")]
After = Annotated[
    str | None,
    Query(pattern=r"^\d{8}T\d{6}\.\d{6}_[0-9a-f-]{36}$", description="`next` of the page before"),
]


@router.get(
    "",
    summary="List the reports",
    dependencies=[Readers],
    response_model=StreamReports,
    responses=problems(InvalidRequest) | tables.documented(EXAMPLE),
)
def list_reports(
    request: Request,
    services: ServicesDep,
    *,
    speaker: SpeakerId | None = None,
    first: FromMoment = None,
    end: ToMoment = None,
    after: After = None,
    limit: PageSize = 100,
) -> StreamReports | Response:
    """What happened on streams and recordings, newest first, a page at a time; kept as long as the logs.

    With `speaker` only those on which the speaker was enrolled or verified; a deleted speaker is found no more. JSON,
    or CSV with `Accept: text/csv`: a row for each event, and the next page in the header `Link`.
    """
    page = services.reports.page(speaker=speaker, first=first, end=end, after=after, limit=limit)
    reports = StreamReports.of(page)
    if not tables.wants_csv(request):
        return reports
    following = str(request.url.include_query_params(after=page.next)) if page.next else None
    return tables.csv_response(*table(reports.reports), following=following)


@router.get(
    "/{uuid}",
    summary="The report of a stream",
    dependencies=[Readers],
    response_model=StreamReport,
    responses=problems(ReportNotFound, InvalidRequest) | tables.documented(EXAMPLE),
)
def get_report(request: Request, services: ServicesDep, uuid: UUID) -> StreamReport | Response:
    """What happened on the stream; it is there once the stream has ended."""
    report = StreamReport.of(services.reports.get(str(uuid)))
    return tables.csv_response(*table([report])) if tables.wants_csv(request) else report
