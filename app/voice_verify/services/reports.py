"""What happened on streams after they ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from voice_verify.errors import FieldProblem, InvalidRequest, ReportNotFound
from voice_verify.store import Database
from voice_verify.store.streams import Position, Report, StreamStore


@dataclass(frozen=True)
class ReportPage:
    """`next`: what to ask for after this page; None on the last one."""

    reports: Sequence[Report]
    next: str | None


class ReportService:
    """Reports are kept for `days`, like the logs."""

    def __init__(self, database: Database, *, days: int) -> None:
        self._store = StreamStore(database)
        self._kept = timedelta(days=days)
        self._removed: datetime | None = None

    def get(self, uuid: str) -> Report:
        """Raises ReportNotFound."""
        report = self._store.report(uuid)
        if report is None:
            raise ReportNotFound(
                "There is no report of such a stream",
                hint="it is written when the stream ends, and removed after the retention of the logs",
            )
        return report

    def page(
        self, *, speaker: str | None, first: datetime | None, end: datetime | None, after: str | None, limit: int
    ) -> ReportPage:
        """Newest first, of streams that started from `first` until before `end`; raises InvalidRequest."""
        if first is not None and end is not None and end <= first:
            raise InvalidRequest(
                "The range of time is empty", errors=[FieldProblem("query.to", "must come after query.from")]
            )
        position = None if after is None else _position(after)
        found = self._store.reports(speaker=speaker, first=first, end=end, after=position, limit=limit + 1)
        more = len(found) > limit
        return ReportPage(found[:limit], _name(found[limit - 1]) if more else None)

    def tick(self) -> None:
        """Once a day, remove what is older than the retention; after maintenance mode, what became so meanwhile."""
        now = datetime.now(UTC)
        if self._removed is None or self._removed.date() != now.date():
            removed = self._store.remove_before(now - self._kept)
            self._removed = self._removed if removed is None else now


def _name(report: Report) -> str:
    """A place in the list, as text that needs no escaping in a URL."""
    return f"{report.stream.started:%Y%m%dT%H%M%S.%f}_{report.stream.uuid}"


def _position(name: str) -> Position:
    started, _, uuid = name.partition("_")
    try:
        return Position(datetime.strptime(started, "%Y%m%dT%H%M%S.%f").replace(tzinfo=UTC), uuid)
    except ValueError as error:
        raise InvalidRequest(
            "This is no place in the list", errors=[FieldProblem("query.after", "give `next` of the page before")]
        ) from error
