from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def reproducible() -> dict[str, str]:
    return {"SOURCE_DATE_EPOCH": "1750000000", "TZ": "UTC"}
