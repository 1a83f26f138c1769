"""How much audio may wait for the engine."""

from __future__ import annotations

MAX_WAITING_S = 30
"""Audio that one stream may have waiting: 1 MB. A live stream never comes near it while the engine keeps up."""
MAX_WAITING_TOTAL_S = 900
"""Audio that all streams together may have waiting: 29 MB, 6 s at 150 streams."""
MAX_WAITING_CHUNKS = 1024
