"""Whether TLS is on, and what is wrong: told to the other programs of this machine in a file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypedDict

from . import check, openssl, pem, store
from .refused import Refused


class State(TypedDict):
    """The content of the file."""

    # The TLS ports are served.
    enabled: bool
    # And under the name by which clients look for this machine; true when it has no domain.
    names_fit: bool
    # For a person; may stand beside a certificate that is in force.
    problem: str
    # ISO 8601; empty without a certificate.
    not_after: str
    # SHA-256 of the certificate; empty without one.
    fingerprint: str


# When these change, what serves or opens ports must look again.
_MATTERS = ("enabled", "names_fit", "fingerprint")


def judge(stored: store.Store, wanted: Sequence[str], now: datetime, warn_days: int) -> State:
    """The state of what is in force, for a machine with the names `wanted`.

    A certificate that expired stays on: clients that do not look at the date go on working, and the others learn why.
    """
    certificates = pem.read(stored.read(store.CERTIFICATE).encode(), store.CERTIFICATE).certificates
    if not certificates:
        return State(enabled=False, names_fit=False, problem="", not_after="", fingerprint="")
    try:
        check.servable(stored.current / store.CERTIFICATE, stored.current / store.KEY)
        facts = openssl.describe(certificates[0])
    except (Refused, OSError) as error:
        return State(enabled=False, names_fit=False, problem=str(error), not_after="", fingerprint="")
    return State(
        enabled=True,
        names_fit=not wanted or check.covers(facts, wanted[0]),
        problem=check.problem(facts, wanted, now, warn_days),
        not_after=facts.not_after.isoformat(),
        fingerprint=facts.fingerprint,
    )


def published(path: Path) -> dict[str, Any]:
    """What others were told last; empty when they were not since this boot."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def publish(found: State, path: Path) -> bool:
    """Leave the state for others; returns whether they must look again."""
    before = published(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.new")
    new.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    # The console's account reads it too, and nothing in it is secret.
    new.chmod(0o644)
    new.replace(path)
    return any(found.get(key) != before.get(key) for key in _MATTERS)
