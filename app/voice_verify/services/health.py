"""Whether the service can do its work now, and if not, what is missing."""

from __future__ import annotations

from dataclasses import dataclass

from voice_verify.engine import EngineClient
from voice_verify.errors import DatabaseUnavailable
from voice_verify.store import Database


@dataclass(frozen=True)
class Check:
    """`problem`: what is missing and what to do; None when all is well."""

    name: str
    problem: str | None


class HealthService:
    def __init__(self, database: Database, engine: EngineClient) -> None:
        self._database = database
        self._engine = engine

    def checks(self) -> list[Check]:
        return [Check("database", self._database_problem()), Check("engine", self._engine.problem)]

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
