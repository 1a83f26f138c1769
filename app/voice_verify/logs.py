"""Logs as JSON lines on standard error, for journald and log shippers.

No secret and no speaker is ever written: an identifier chosen by the integrator may be a customer's name.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any


class JsonLines(logging.Formatter):
    """One object a line: time, level, logger, message, and what stands in the record's `fields`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def _is_news(record: logging.LogRecord) -> bool:
    """Uvicorn calls it an error when a WebSocket handshake is answered with a refusal, which is our way to refuse."""
    return record.getMessage() != "ASGI callable returned without completing handshake."


def configure() -> None:
    """Send the service's own messages from INFO up, and the libraries' warnings, to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("voice_verify").setLevel(logging.INFO)
    logging.getLogger("uvicorn.error").addFilter(_is_news)
