"""What the journal of an upgrade tells: who and what, decisions, and how long each state took."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from vvctl import journal

JOURNAL = "journal"


class Decision(StrEnum):
    """What cannot be seen by looking at the machines, so that it has to be remembered."""

    # From here on calls are refused.
    QUIET = "quiet"
    # The new system was told to start: from here on it may have written to the data disk.
    MAY_WRITE = "may_write"
    COMMIT = "commit"
    # The new system lets callers in.
    OPENED = "opened"
    ROLLBACK = "rollback"
    # The data disk is again as it was before the new system started.
    RESTORED = "restored"
    # The old system was found as it was before: from here on callers may change what is there.
    REOPEN = "reopen"
    FINALIZE = "finalize"
    ENDED = "ended"


class Phase(StrEnum):
    """What an upgrade does next, by what was decided."""

    FORWARD = "forward"
    BACK = "back"
    COMMITTED = "committed"
    FINALIZING = "finalizing"
    ENDED = "ended"


_PHASES = {
    Decision.ENDED: Phase.ENDED,
    Decision.ROLLBACK: Phase.BACK,
    Decision.FINALIZE: Phase.FINALIZING,
    Decision.COMMIT: Phase.COMMITTED,
}


@dataclass(frozen=True)
class Before:
    """The appliance as it was when it was quiet: what `inventory` told, and the backup made then."""

    inventory: dict[str, Any]
    backup: str
    backup_sha256: str


@dataclass(frozen=True)
class Stay:
    """One time in one state; `left` is None while it is in it, or when it was cut off there."""

    state: str
    entered: datetime
    left: datetime | None


class History:
    """The records of one upgrade."""

    def __init__(self, records: list[dict[str, Any]]) -> None:
        self.records = records

    @classmethod
    def read(cls, directory: Path) -> Self:
        """That in `directory`, without keeping anybody from writing; raises JournalDamaged."""
        return cls(journal.read(directory / JOURNAL))

    @property
    def id(self) -> str:
        """What marks everything that this upgrade makes."""
        found: str = self.records[0]["id"]
        return found

    @property
    def provider(self) -> str:
        found: str = self.records[0]["provider"]
        return found

    @property
    def facts(self) -> dict[str, Any]:
        found: dict[str, Any] = self.records[0]["facts"]
        return found

    @property
    def settings(self) -> dict[str, Any]:
        """Where the appliance answers, and what the person chose."""
        found: dict[str, Any] = self.records[0]["settings"]
        return found

    @property
    def before(self) -> Before | None:
        notes = [record["before"] for record in self.records if record["kind"] == "before"]
        return Before(**notes[-1]) if notes else None

    @property
    def phase(self) -> Phase:
        return next((phase for decision, phase in _PHASES.items() if self.decided(decision)), Phase.FORWARD)

    @property
    def process(self) -> tuple[str, int] | None:
        """Computer and id of the process that worked on it last."""
        opened = [record for record in self.records if record["kind"] == "opened"]
        return (opened[-1]["host"], opened[-1]["pid"]) if opened else None

    def decided(self, decision: Decision) -> bool:
        return any(record.get("decision") == decision for record in self.records)

    def why(self, decision: Decision) -> str:
        """The reason that was given for it."""
        return next((record["why"] for record in self.records if record.get("decision") == decision), "")

    def when(self, decision: Decision) -> datetime | None:
        """The time when it was made."""
        return next((_moment(record) for record in self.records if record.get("decision") == decision), None)

    def entered(self, state: str) -> bool:
        return any(record["kind"] == "entered" and record["state"] == state for record in self.records)

    def left(self, state: str) -> bool:
        return any(record["kind"] == "left" and record["state"] == state for record in self.records)

    def stays(self) -> list[Stay]:
        """Every time in every state, in order."""
        found: list[Stay] = []
        for record in self.records:
            if record["kind"] == "entered":
                found.append(Stay(record["state"], _moment(record), None))
            elif record["kind"] == "left":
                found[-1] = Stay(found[-1].state, found[-1].entered, _moment(record))
        return found

    def refused_s(self) -> float | None:
        """For how long calls were refused; None when that has not ended, or never began."""
        began = self.when(Decision.QUIET)
        ended = self.when(Decision.OPENED) or self.when(Decision.REOPEN)
        return (ended - began).total_seconds() if began and ended else None


def _moment(record: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(record["at"])
