"""The problems that an operation documents: status, code and an example for each."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from voice_verify import errors
from voice_verify.api.problems import MEDIA_TYPE
from voice_verify.errors import VoiceVerifyError

Responses = dict[int | str, dict[str, Any]]

# What any operation behind a key may answer.
ALWAYS: tuple[type[VoiceVerifyError], ...] = (errors.Unauthenticated, errors.Forbidden, errors.DatabaseUnavailable)


def problems(*kinds: type[VoiceVerifyError]) -> Responses:
    """The `responses` of an operation that may fail with `kinds`, and with what every operation may."""
    documented: Responses = {}
    for kind in (*ALWAYS, *kinds):
        title = HTTPStatus(kind.status).phrase
        answer = documented.setdefault(kind.status, {"description": title, "content": {MEDIA_TYPE: {"examples": {}}}})
        answer["content"][MEDIA_TYPE]["schema"] = {"$ref": "#/components/schemas/Problem"}
        answer["content"][MEDIA_TYPE]["examples"][kind.code] = {
            "value": {
                "type": "about:blank",
                "title": title,
                "status": kind.status,
                "code": kind.code,
                "detail": (kind.__doc__ or title).strip().splitlines()[0],
                "errors": [],
                "reasons": [],
            }
        }
        if kind.status == errors.Unavailable.status:
            answer["headers"] = {"Retry-After": {"description": "Seconds to wait", "schema": {"type": "integer"}}}
    return documented
