"""What was enrolled and verified on one stream, for its report."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from voice_verify.store.streams import StreamEvent

# A call has a handful; a client that makes up speakers must not fill memory and database.
MOST_EVENTS = 1000


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered about one speaker; see `voice_verify.store.streams.StreamEvent`."""

    kind: str
    pseudonym: str
    outcome: str
    reason: str
    score: float | None
    log_likelihood_ratio: float | None
    net_speech_s: float
    profile: str | None


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
        self._latest: dict[tuple[str, str], _Row] = {}

    def write(self, answer: Answer) -> None:
        now = datetime.now(UTC)
        key = (answer.kind, answer.pseudonym)
        with self._lock:
            row = self._latest.get(key)
            if row is not None and (row.answer.outcome, row.answer.reason) == (answer.outcome, answer.reason):
                row.last, row.answer = now, answer
                row.count += 1
            elif len(self._rows) < MOST_EVENTS:
                self._latest[key] = row = _Row(now, now, 1, answer)
                self._rows.append(row)

    def events(self) -> Sequence[StreamEvent]:
        """All that was written down, in the order in which it began."""
        with self._lock:
            return [
                StreamEvent(
                    kind=row.answer.kind,
                    pseudonym=row.answer.pseudonym,
                    first=row.first,
                    last=row.last,
                    count=row.count,
                    outcome=row.answer.outcome,
                    reason=row.answer.reason,
                    score=row.answer.score,
                    log_likelihood_ratio=row.answer.log_likelihood_ratio,
                    net_speech_s=row.answer.net_speech_s,
                    profile=row.answer.profile,
                )
                for row in self._rows
            ]
