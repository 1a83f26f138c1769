"""What is there, to be compared with what is there after an upgrade."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass

from voice_verify import __version__, _generated
from voice_verify.errors import DatabaseUnavailable, FieldProblem, ThroughInvalid
from voice_verify.services import process
from voice_verify.services.health import HealthService
from voice_verify.services.usage import UsageService
from voice_verify.store import Database
from voice_verify.store.inventory import FORMS, NEWEST, Bounds, InventoryStore, Sum, parse_bounds
from voice_verify.store.vault import Vault


@dataclass(frozen=True)
class Inventory:
    """`format`: of the records' forms; `boot`: another one each time the machine starts.

    Without a database that this version can read, there are no records and nothing to go `through`.
    """

    format: int
    version: str
    format_epoch: int
    schema_revision: str | None
    boot: str
    ready: bool
    through: str
    records: Mapping[str, Sum]


class InventoryService:
    def __init__(self, database: Database, vault: Vault, health: HealthService, usage: UsageService) -> None:
        self._database = database
        self._store = InventoryStore(database, vault)
        self._health = health
        self._usage = usage

    def take(self, through: str = "") -> Inventory:
        """Every kind of record, at one moment; kinds that only grow up to where an earlier inventory went `through`.

        That one also says of which format this one is. Raises ThroughInvalid, Undecipherable and DatabaseUnavailable.
        """
        form, bounds = _read(through) if through else (NEWEST, None)
        ready = all(check.problem is None for check in self._health.checks())
        try:
            state = self._database.state()
        except DatabaseUnavailable:
            return self._of(form, None, ready, through, {})
        if not state.is_current:
            return self._of(form, state.current, ready, through, {})
        # What was heard last may not be written yet.
        self._usage.flush()
        records, reached = self._store.take(form, bounds)
        return self._of(form, state.current, ready, through or _write(form, reached), records)

    @staticmethod
    def _of(form: int, revision: str | None, ready: bool, through: str, records: Mapping[str, Sum]) -> Inventory:
        return Inventory(form, __version__, _generated.FORMAT_EPOCH, revision, process.boot(), ready, through, records)


def _write(form: int, bounds: Bounds) -> str:
    document = json.dumps({"format": form, "bounds": dict(bounds)}, separators=(",", ":"))
    return base64.urlsafe_b64encode(document.encode()).decode().rstrip("=")


def _read(through: str) -> tuple[int, Bounds]:
    try:
        document = json.loads(base64.b64decode(through + "=" * (-len(through) % 4), altchars=b"-_", validate=True))
        form = document["format"]
    except (binascii.Error, ValueError, KeyError, TypeError, RecursionError) as error:
        raise _invalid() from error
    bounds = parse_bounds(form, document.get("bounds")) if isinstance(form, int) and form in FORMS else None
    if bounds is None:
        raise _invalid()
    return form, bounds


def _invalid() -> ThroughInvalid:
    return ThroughInvalid(
        "This is not where an inventory went through",
        hint="give `through` of an earlier inventory of this version or an older one",
        errors=[FieldProblem("query.through", "no such place")],
    )
