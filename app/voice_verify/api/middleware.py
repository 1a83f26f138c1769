"""What happens to every request before its route: paths made canonical, callers known, everything observed."""

from __future__ import annotations

import ipaddress
import logging
import time
from http import HTTPStatus
from uuid import uuid4

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from voice_verify.api import problems
from voice_verify.errors import InternalError, Unauthenticated, VoiceVerifyError
from voice_verify.services.container import Services
from voice_verify.services.keys import Caller, KeyService

log = logging.getLogger(__name__)

DOCUMENT_BYTES = 64 * 1024
# An Audio Source Profile holds 37,056 numbers.
LARGER_DOCUMENTS = {"/api/v2/maintenance/asp": 2 * 1024 * 1024}
RESTORES = ("/api/v2/maintenance/loadbackup", "/api/v2/snapshot/import")


class OnePath:
    """Makes paths work with and without a trailing slash."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and scope["path"] != "/":
            scope["path"] = scope["path"].rstrip("/") or "/"
        await self._app(scope, receive, send)


class Authentication:
    """Refuses a caller without a valid key before a byte of the body is read, and tells the routes who calls.

    WebSockets see to it themselves: they may also come with a ticket.
    """

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app = app
        self._keys = services.keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _is_protected(scope):
            try:
                scope.setdefault("state", {})["caller"] = await identify(self._keys, Headers(scope=scope))
            except VoiceVerifyError as error:
                await problems.response(error)(scope, receive, send)
                return
        await self._app(scope, receive, send)


async def identify(keys: KeyService, headers: Headers) -> Caller:
    """The caller by the header Authorization; raises Unauthenticated and DatabaseUnavailable."""
    scheme, _, secret = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret:
        raise Unauthenticated("An API key is needed", hint="send the header Authorization: Bearer KEY")
    return await known(keys, secret.strip())


async def known(keys: KeyService, secret: str) -> Caller:
    """The caller that `secret` belongs to; raises Unauthenticated and DatabaseUnavailable."""
    caller = keys.recall(secret) or await run_in_threadpool(keys.authenticate, secret)
    if caller is None:
        raise Unauthenticated("This API key is not known", hint="check it, or make one with: voice-verify keys create")
    return caller


def _is_protected(scope: Scope) -> bool:
    path: str = scope["path"]
    if path == "/metrics":
        return not _is_loopback(scope)
    return path == "/api" or path.startswith("/api/")


def _is_loopback(scope: Scope) -> bool:
    host = scope["client"][0] if scope.get("client") else ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class BodyLimit:
    """Refuses a body that is too large: at once when its length is declared, else as soon as too much has come.

    `upload_bytes` is for recordings and `restore_bytes` for backups and snapshots, which are spooled to disk; any other
    body is read into memory and small.
    """

    def __init__(self, app: ASGIApp, upload_bytes: int, restore_bytes: int) -> None:
        self._app = app
        self._upload_bytes = upload_bytes
        self._limits = LARGER_DOCUMENTS | dict.fromkeys(RESTORES, restore_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        is_upload = headers.get("content-type", "").startswith("multipart/form-data")
        limit = self._limits.get(scope["path"], self._upload_bytes if is_upload else DOCUMENT_BYTES)
        declared = headers.get("content-length", "")
        if declared.isdigit() and int(declared) > limit:
            await problems.response(problems.too_large(limit))(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                # The framework makes a 400 of any other exception while it reads a body.
                raise HTTPException(413, str(limit))
            return message

        await self._app(scope, counted, send)


class Observation:
    """Counts, times and logs every request, and answers what nobody expected with an incident number."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app = app
        self._metrics = services.metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._metrics.clock.steps("http", self._app(scope, receive, watched))
        except Exception:
            incident = uuid4().hex[:12]
            log.exception("request failed", extra={"fields": {"incident": incident}})
            if not status:
                error = InternalError(
                    f"The service failed (incident {incident})", hint="tell support the incident number"
                )
                await problems.response(error)(scope, receive, watched)
        finally:
            self._record(scope, status, time.perf_counter() - started)

    def _record(self, scope: Scope, status: int, duration_s: float) -> None:
        # The name of the operation, never the path: that may hold a speaker.
        endpoint = scope.get("endpoint")
        operation = getattr(endpoint, "__name__", type(endpoint).__name__) if endpoint else "none"
        self._metrics.requests.labels(operation, status).inc()
        self._metrics.durations.labels(operation).observe(duration_s)
        # Two a second for each call would drown the rest; the stream's own lines say how it was verified.
        is_routine = operation == "verify_on_stream" and status == HTTPStatus.OK
        if scope["path"].startswith("/api/") and not is_routine:
            caller: Caller | None = scope.get("state", {}).get("caller")
            fields = {
                "operation": operation,
                "status": status,
                "duration_ms": round(duration_s * 1000, 1),
                "key": caller and caller.key,
            }
            log.info("request", extra={"fields": fields})
