"""What was enrolled and verified on one stream, for its report."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from voice_verify.services.verification import Verification
from voice_verify.store.streams import StreamEvent

# A call has a handful; a client that makes up speakers must not fill memory and database.
MOST_EVENTS = 1000


@dataclass(frozen=True, slots=True)
class EnrolmentOutcome:
    """How an enrolment ended; see `voice_verify.store.streams.StreamEvent`."""

    pseudonym: str
    outcome: str
    reason: str
    net_speech_s: float


Answer = Verification | EnrolmentOutcome


@dataclass(slots=True)
class _Row:
    """Equal answers in a row."""

    first: datetime
    last: datetime
    count: int
    answer: Answer


class Journal:
    """Safe to use from many threads. Beyond MOST_EVENTS nothing new is written down."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: list[_Row] = []
        # Of each speaker the last verification: that is asked for several times a second.
        self._verified: dict[str, _Row] = {}

    def verified(self, verification: Verification) -> None:
        now = datetime.now(UTC)
        with self._lock:
            row = self._verified.get(verification.pseudonym)
            if row is not None and _alike(row.answer, verification):
                row.last, row.answer = now, verification
                row.count += 1
                return
            row = self._add(now, verification)
            if row is not None:
                self._verified[verification.pseudonym] = row

    def enrolled(self, outcome: EnrolmentOutcome) -> None:
        with self._lock:
            self._add(datetime.now(UTC), outcome)

    def events(self) -> Sequence[StreamEvent]:
        """All that was written down, in the order in which it began."""
        with self._lock:
            return [_event(row) for row in self._rows]

    def _add(self, now: datetime, answer: Answer) -> _Row | None:
        if len(self._rows) >= MOST_EVENTS:
            return None
        row = _Row(now, now, 1, answer)
        self._rows.append(row)
        return row


def _alike(one: Answer, other: Verification) -> bool:
    return isinstance(one, Verification) and one.reason == other.reason and one.decision == other.decision


def _event(row: _Row) -> StreamEvent:
    answer = row.answer
    verification = answer if isinstance(answer, Verification) else None
    return StreamEvent(
        kind="verification" if verification else "enrolment",
        pseudonym=answer.pseudonym,
        first=row.first,
        last=row.last,
        count=row.count,
        outcome=answer.decision if isinstance(answer, Verification) else answer.outcome,
        reason=answer.reason,
        score=verification.score if verification else None,
        log_likelihood_ratio=verification.log_likelihood_ratio if verification else None,
        net_speech_s=answer.net_speech_s,
        profile=verification.profile if verification else None,
    )
