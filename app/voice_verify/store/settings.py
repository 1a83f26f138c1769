"""Settings that are made while the service runs, each a small JSON object under a name."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from voice_verify.store.models import SettingRow

MAINTENANCE = "maintenance"
QUIET = "quiet"
PROFILE = "profile"
DATA_KEY = "data_key"
LICENCE_TIME = "licence_time"

OF_THIS_INSTALLATION = (MAINTENANCE, QUIET, DATA_KEY, LICENCE_TIME)
"""These tell how the service runs here and now: no backup holds them, and no restore touches them."""


def read(session: Session, name: str) -> dict[str, Any]:
    """The setting, empty when it was never made."""
    row = session.get(SettingRow, name)
    return {} if row is None else row.value


def write(session: Session, name: str, value: dict[str, Any]) -> None:
    session.merge(SettingRow(name=name, value=value, updated=datetime.now(UTC)))


def remove(session: Session, name: str) -> None:
    """Forget the setting; does nothing when it was never made."""
    row = session.get(SettingRow, name)
    if row is not None:
        session.delete(row)
