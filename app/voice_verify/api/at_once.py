"""A short way for the one request that every call makes twice a second: to verify on a stream.

The framework takes two thirds of the time of such a request and the decision itself a tenth (measured with 97 calls on
a core: 1.2 ms of processor time for two of them, 0.6 ms by this way). What is not plainly a request that can be
answered from memory goes on to the route, which also says what is wrong with it; so this answers nothing that the route
would not answer in the same words.
"""

from __future__ import annotations

import re
from uuid import UUID

from pydantic import ValidationError
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from voice_verify.api import streams
from voice_verify.api.documents.speakers import SpeakerRequest
from voice_verify.api.documents.verification import VerificationResult
from voice_verify.errors import VoiceVerifyError
from voice_verify.services.container import Services
from voice_verify.services.keys import Role

_PATH = re.compile(r"/api/v2/streams/([0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})/verify")
_BODY_BYTES = 4096
_ROLES = (Role.integrator,)


class VerifyAtOnce:
    """Needs a caller that `Authentication` has let in."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app = app
        self._streams = services.streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = _PATH.fullmatch(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if path is None or not _is_small_document(scope) or not scope["state"]["caller"].may(_ROLES):
            await self._app(scope, receive, send)
            return
        message = await receive()
        answer = self._answer(UUID(path[1]), message)
        if answer is None:
            await self._app(scope, _again(message, receive), send)
            return
        # For those who count requests by what answered them.
        scope["endpoint"] = streams.verify_on_stream
        headers = [(b"content-length", b"%d" % len(answer)), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    def _answer(self, stream: UUID, message: Message) -> bytes | None:
        if message["type"] != "http.request" or message.get("more_body"):
            return None
        try:
            speaker = SpeakerRequest.model_validate_json(message["body"]).speaker
            verification = self._streams.verify_at_once(stream, speaker)
        except (ValidationError, VoiceVerifyError):
            return None
        return None if verification is None else VerificationResult.of(verification).model_dump_json().encode()


def _is_small_document(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    length = headers.get("content-length", "")
    kind = headers.get("content-type", "").partition(";")[0].rstrip()
    return kind == "application/json" and length.isdigit() and int(length) <= _BODY_BYTES


def _again(message: Message, receive: Receive) -> Receive:
    """Receives `message` first, as if nobody had looked at it."""
    waiting = [message]

    async def next_message() -> Message:
        return waiting.pop() if waiting else await receive()

    return next_message
