"""What is invoiced: counted exactly, once, and never from logs."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

from voice_verify.errors import DatabaseUnavailable, FieldProblem, InvalidRequest
from voice_verify.store import Database
from voice_verify.store.usage import DayOfUsage, UsageStore


class Granularity(StrEnum):
    day = "day"
    month = "month"


@dataclass(frozen=True)
class Counts:
    enrolments: int = 0
    verifications: int = 0
    identifications: int = 0
    stream_ms: int = 0

    def plus(self, day: DayOfUsage) -> Counts:
        return Counts(
            self.enrolments + day.enrolments,
            self.verifications + day.verifications,
            self.identifications + day.identifications,
            self.stream_ms + day.stream_ms,
        )


@dataclass(frozen=True)
class Usage:
    """From the day `first` until before the day `end`; `periods`: 2026-01-31 or 2026-01, those in which anything was.

    Days are UTC.
    """

    first: date
    end: date
    granularity: Granularity
    periods: Sequence[tuple[str, Counts]]
    totals: Counts


class UsageService:
    """Enrolments are counted where they are stored; here is what leaves no other trace in the database."""

    def __init__(self, database: Database) -> None:
        self._store = UsageStore(database)
        self._lock = threading.Lock()
        self._stream_ms = 0

    def verified(self) -> None:
        """Count a verification; durable when this returns. Raises DatabaseUnavailable."""
        self._store.count(verifications=1)

    def heard(self, milliseconds: int) -> None:
        """Count audio of streams; durable after the next `flush`."""
        with self._lock:
            self._stream_ms += milliseconds

    def settle(self, milliseconds: int) -> None:
        """Count the last audio of a stream; durable when this returns, unless the database is away."""
        self.heard(milliseconds)
        with suppress(DatabaseUnavailable):
            self.flush()

    def flush(self) -> None:
        """Write what was heard since the last time; what cannot be written waits. Raises DatabaseUnavailable."""
        with self._lock:
            waiting, self._stream_ms = self._stream_ms, 0
        if not waiting:
            return
        try:
            self._store.count(stream_ms=waiting)
        except BaseException:
            self.heard(waiting)
            raise

    def aggregate(self, first: date | None, end: date | None, granularity: Granularity) -> Usage:
        """All that was counted from `first` (else the first of this month) until before `end` (else: until now).

        Raises InvalidRequest when `end` does not come after `first`.
        """
        today = datetime.now(UTC).date()
        first = today.replace(day=1) if first is None else first
        end = max(today, first) + timedelta(days=1) if end is None else end
        if end <= first:
            raise InvalidRequest(
                "The range of days is empty",
                hint="`to` is the day after the last one",
                errors=[FieldProblem("query.to", f"must come after {first}")],
            )
        self.flush()
        periods: defaultdict[str, Counts] = defaultdict(Counts)
        totals = Counts()
        for day in self._store.days(first, end):
            name = f"{day.day:%Y-%m-%d}" if granularity is Granularity.day else f"{day.day:%Y-%m}"
            periods[name] = periods[name].plus(day)
            totals = totals.plus(day)
        return Usage(first, end, granularity, list(periods.items()), totals)
