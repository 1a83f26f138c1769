"""CSV beside JSON: what a client would rather have, and how rows are written."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from fastapi import Request, Response

CSV = "text/csv"


def wants_csv(request: Request) -> bool:
    """Whether the header Accept prefers CSV to JSON (RFC 9110, section 12.5.1); without a preference it is JSON."""
    quality = {CSV: 0.0, "application/json": 0.0}
    for offer in request.headers.get("accept", "").split(","):
        media_type, *parameters = (part.strip().lower() for part in offer.split(";"))
        if media_type in quality:
            quality[media_type] = _quality(parameters)
    return quality[CSV] > quality["application/json"]


def csv_response(header: Sequence[str], rows: Iterable[Sequence[object]], *, following: str | None = None) -> Response:
    """A table as RFC 4180; `following` is the URL of the next page, for the header Link (RFC 8288)."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows(rows)
    headers = {"Link": f'<{following}>; rel="next"'} if following else {}
    return Response(text.getvalue(), headers=headers, media_type=CSV)


def documented(example: str) -> dict[int | str, dict[str, Any]]:
    """The `responses` of an operation that answers CSV, too."""
    return {200: {"content": {CSV: {"schema": {"type": "string"}, "examples": {"table": {"value": example}}}}}}


def _quality(parameters: Sequence[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
