"""Whether the service can do its work now, and if not, what is missing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from voice_verify.engine import EngineClient
from voice_verify.errors import DatabaseUnavailable
from voice_verify.services.telephony import TelephonyService, TelephonyState
from voice_verify.store import Database


class CheckState(StrEnum):
    """`off`: not wanted."""

    ok = "ok"
    off = "off"
    starting = "starting"
    failed = "failed"


@dataclass(frozen=True)
class Check:
    """`problem`: what is missing and what to do; None when all is well, or when it is `off`."""

    name: str
    problem: str | None
    state: CheckState


class HealthService:
    def __init__(self, database: Database, engine: EngineClient, telephony: TelephonyService) -> None:
        self._database = database
        self._engine = engine
        self._telephony = telephony

    def checks(self) -> list[Check]:
        database, engine, telephony = self._database_problem(), self._engine.problem, self._telephony.problem
        return [
            Check("database", database, CheckState.failed if database else CheckState.ok),
            Check("engine", engine, _state(engine, is_failing=self._engine.is_failing)),
            Check(
                "telephony",
                telephony,
                CheckState.off
                if self._telephony.state is TelephonyState.off
                else _state(telephony, is_failing=self._telephony.state is TelephonyState.failed),
            ),
        ]

    def _database_problem(self) -> str | None:
        try:
            state = self._database.state()
        except DatabaseUnavailable:
            return "not reachable: check that it runs and that VV_DATABASE_URL is right"
        if state.is_newer:
            return f"has schema {state.current}, and this version knows {state.needed}: start the newer version again"
        if not state.is_current:
            return f"has schema {state.current or 'none'} and needs {state.needed}: run voice-verify migrate"
        return None


def _state(problem: str | None, *, is_failing: bool) -> CheckState:
    if problem is None:
        return CheckState.ok
    return CheckState.failed if is_failing else CheckState.starting
