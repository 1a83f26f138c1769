"""Every error in one shape: application/problem+json (RFC 9457). The only place that maps errors to HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.routing import Match

from voice_verify.api.documents.problem import Problem
from voice_verify.errors import (
    FieldProblem,
    Forbidden,
    InternalError,
    InvalidRequest,
    MalformedBody,
    MethodNotAllowed,
    NotFound,
    Unauthenticated,
    UploadTooLarge,
    VoiceVerifyError,
)

MEDIA_TYPE = "application/problem+json"


def response(error: VoiceVerifyError, headers: Mapping[str, str] | None = None) -> Response:
    """The answer that tells about `error`."""
    document = Problem.of(error, title=HTTPStatus(error.status).phrase)
    all_headers = dict(headers or {})
    if isinstance(error, Unauthenticated):
        all_headers["WWW-Authenticate"] = "Bearer"
    if error.retry_after_s is not None:
        all_headers["Retry-After"] = str(error.retry_after_s)
    return Response(document.model_dump_json(), error.status, all_headers, media_type=MEDIA_TYPE)


def too_large(limit: int) -> UploadTooLarge:
    """The refusal of a body of more than `limit` bytes."""
    size = f"{limit // 2**20} MB" if limit >= 2**20 else f"{limit // 2**10} KB"
    return UploadTooLarge(f"The body is larger than {size}", hint="send less at once")


def install(app: FastAPI) -> None:
    """Answer our errors and the framework's in the one shape."""

    async def ours(_: Request, error: Exception) -> Response:
        assert isinstance(error, VoiceVerifyError)  # noqa: S101
        return response(error)

    async def invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101
        return response(_invalid(error))

    async def framework(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101
        headers = dict(error.headers or {})
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = ", ".join(_allowed(app, request))
        return response(_translated(error), headers)

    app.add_exception_handler(VoiceVerifyError, ours)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, framework)


def _allowed(app: FastAPI, request: Request) -> list[str]:
    """The methods that the path takes; the framework names those of one of its routes only."""
    return [
        method
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in app.router.routes)
    ]


def _invalid(error: RequestValidationError) -> VoiceVerifyError:
    problems = error.errors()
    if any(item["type"] == "json_invalid" for item in problems):
        return MalformedBody("The body is not valid JSON", hint="send a JSON object as UTF-8")
    return InvalidRequest(
        "The request has a wrong value",
        hint="see errors for each",
        errors=[FieldProblem(".".join(map(str, item["loc"])), item["msg"]) for item in problems],
    )


def _translated(error: HTTPException) -> VoiceVerifyError:
    match error.status_code:
        case 400:
            return MalformedBody(f"The body cannot be read: {error.detail}", hint="see /swagger/ for what is expected")
        case 404:
            return NotFound("There is nothing at this path", hint="see /swagger/ for what there is")
        case 405:
            return MethodNotAllowed("This path does not take this method", hint="the header Allow lists which it takes")
        case 413:
            return too_large(int(error.detail))
        case 403:
            return Forbidden(str(error.detail))
        case _:
            return InternalError(f"The framework answered {error.status_code}: {error.detail}")
