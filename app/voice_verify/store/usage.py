"""Invoiceable actions by day (UTC), counted in the transactions in which they happen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from voice_verify.store.database import Database
from voice_verify.store.models import UsageRow


@dataclass(frozen=True)
class DayOfUsage:
    day: date
    enrolments: int
    verifications: int
    identifications: int
    stream_ms: int


def count(session: Session, *, enrolments: int = 0, verifications: int = 0, stream_ms: int = 0) -> None:
    """Add to the counts of today; what is counted and the count are committed together, or neither."""
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    more = {"enrolments": enrolments, "verifications": verifications, "identifications": 0, "stream_ms": stream_ms}
    statement = dialect.insert(UsageRow).values(day=datetime.now(UTC).date(), **more)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[UsageRow.day],
            set_={name: UsageRow.__table__.c[name] + statement.excluded[name] for name in more},
        )
    )


class UsageStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    def count(self, *, verifications: int = 0, stream_ms: int = 0) -> None:
        """Count what has no other trace in the database; durable when this returns."""
        with self._database.session() as session:
            count(session, verifications=verifications, stream_ms=stream_ms)

    def days(self, first: date, end: date) -> Sequence[DayOfUsage]:
        """The days from `first` until before `end` on which anything happened, in order."""
        query = select(UsageRow).where(UsageRow.day >= first, UsageRow.day < end).order_by(UsageRow.day)
        with self._database.reading() as session:
            return [
                DayOfUsage(row.day, row.enrolments, row.verifications, row.identifications, row.stream_ms)
                for row in session.scalars(query)
            ]
