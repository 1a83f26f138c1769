"""What happened on streams after they ended."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field

from voice_verify.api.documents.base import MOMENT, STREAM, Document, Seconds
from voice_verify.api.documents.calls import Callee, Caller, CallId, OfPbx, Participant
from voice_verify.services.reports import ReportPage
from voice_verify.store.streams import Report, StreamEvent


class ReportEvent(Document):
    """Equal answers in a row about one speaker; the figures are those of the last one."""

    kind: Annotated[Literal["enrolment", "verification"], Field(examples=["verification"])]
    speaker: Annotated[
        str | None, Field(description="null when nobody is enrolled under it any more", examples=["customer-4711"])
    ]
    first: Annotated[datetime, Field(examples=[MOMENT])]
    last: Annotated[datetime, Field(examples=[MOMENT])]
    count: Annotated[int, Field(ge=1, description="How many equal answers", examples=[14])]
    outcome: Annotated[str, Field(description="The decision, or how the enrolment ended", examples=["verified"])]
    reason: Annotated[str, Field(examples=["ok"])]
    score: Annotated[float | None, Field(examples=[0.71])]
    log_likelihood_ratio: Annotated[float | None, Field(examples=[9.3])]
    net_speech_s: Annotated[Seconds, Field(examples=[9.0])]
    profile: Annotated[str | None, Field(description="null for an enrolment", examples=["mixed"])]

    @classmethod
    def of(cls, speaker: str | None, event: StreamEvent) -> Self:
        members = {name: value for name, value in vars(event).items() if name != "pseudonym"}
        return cls(speaker=speaker, **members)


class StreamReport(Document):
    uuid: Annotated[UUID, Field(description="Of the stream; a recording has one of its own", examples=[STREAM])]
    source: Annotated[Literal["websocket", "sip", "siprec", "recording"], Field(examples=["websocket"])]
    peer: Annotated[str | None, Field(description="Address of the client", examples=["192.0.2.7"])]
    codec: Annotated[str | None, Field(examples=["alaw"])]
    call_id: CallId
    caller: Caller
    callee: Callee
    participant: Participant
    pbx: OfPbx
    started: Annotated[datetime, Field(examples=[MOMENT])]
    ended: Annotated[datetime, Field(examples=[MOMENT])]
    end_reason: Annotated[
        str,
        Field(
            description="As in the event `end`; `service_stopped`: a crash; recordings: `answered`, `refused`",
            examples=["client_closed"],
        ),
    ]
    net_speech_s: Annotated[Seconds, Field(examples=[9.0])]
    audio_s: Annotated[Seconds, Field(examples=[12.4])]
    events: list[ReportEvent]

    @classmethod
    def of(cls, report: Report) -> Self:
        members = {name: value for name, value in vars(report.stream).items() if name != "owner"}
        return cls(**members, events=[ReportEvent.of(speaker, event) for speaker, event in report.events])


class StreamReports(Document):
    reports: list[StreamReport]
    next: Annotated[str | None, Field(description="`after` of the next page; null on the last one", examples=[None])]

    @classmethod
    def of(cls, page: ReportPage) -> Self:
        return cls(reports=[StreamReport.of(report) for report in page.reports], next=page.next)


STREAM_COLUMNS = [name for name in StreamReport.model_fields if name != "events"]
EVENT_COLUMNS = list(ReportEvent.model_fields)
EVENT_HEADER = [name if name not in STREAM_COLUMNS else f"event_{name}" for name in EVENT_COLUMNS]

# What a spreadsheet would compute.
FORMULA = ("=", "+", "-", "@")


def table(reports: list[StreamReport]) -> tuple[list[str], list[list[object]]]:
    """Header and rows: one for each event, one for a stream without any."""
    rows: list[list[object]] = []
    for report in reports:
        stream = [_cell(getattr(report, column)) for column in STREAM_COLUMNS]
        for event in report.events:
            rows.append([*stream, *(_cell(getattr(event, column)) for column in EVENT_COLUMNS)])
        if not report.events:
            rows.append([*stream, *("" for _ in EVENT_COLUMNS)])
    return [*STREAM_COLUMNS, *EVENT_HEADER], rows


def _cell(value: object) -> object:
    match value:
        case datetime():
            return value.isoformat()
        case str() if value.startswith(FORMULA):
            # Some of it was written by whoever called.
            return f"'{value}"
        case _:
            return value
