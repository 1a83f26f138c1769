"""The calls of the API that the demonstration makes, and its errors in the form of vvctl."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

from vvctl.demo.recording import CODEC, RATE
from vvctl.errors import VvctlError

# Ending a stream waits until all of its audio was heard.
TIMEOUT_S = 60


class ServiceError(VvctlError):
    """The service refused, or does not answer; `code` is the service's own where it gave one."""

    code = "service"

    def __init__(self, message: str, *, hint: str = "", code: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code or self.code


class Api:
    """The API at `url`, called with `key`."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url.rstrip("/")
        self._http = httpx.Client(
            base_url=f"{self._url}/api/v2", headers={"Authorization": f"Bearer {key}"}, timeout=TIMEOUT_S
        )

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        try:
            answer = self._http.request(method, path, json=body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._unreachable(error) from error
        if answer.is_error:
            raise _refusal(answer.status_code, answer.content)
        content: dict[str, Any] = answer.json() if answer.content else {}
        return content

    def _unreachable(self, error: Exception) -> ServiceError:
        return ServiceError(
            f"{self._url} does not answer: {error}",
            hint="make run starts a service on this machine; --url names another one",
        )


class Client(Api):
    """What a call needs of it."""

    def open_stream(self) -> dict[str, Any]:
        """A new stream: its `uuid` and the `url` of its WebSocket."""
        return self.call("POST", "/streams")

    def enrol(self, stream: str, speaker: str) -> dict[str, Any]:
        return self.call("POST", f"/streams/{stream}/enroll", {"speaker": speaker})

    def verify(self, stream: str, speaker: str) -> dict[str, Any]:
        return self.call("POST", f"/streams/{stream}/verify", {"speaker": speaker})

    def end_stream(self, stream: str) -> None:
        self.call("DELETE", f"/streams/{stream}")

    @contextmanager
    def connect(self, url: str) -> Iterator[ClientConnection]:
        """The WebSocket of a stream, ready for audio; raises ServiceError when the service does not let us in."""
        try:
            connection = connect(f"{url}&codec={CODEC}&rate={RATE}", open_timeout=TIMEOUT_S, compression=None)
        except InvalidStatus as error:
            raise _refusal(error.response.status_code, error.response.body or b"") from error
        except (OSError, WebSocketException) as error:
            raise self._unreachable(error) from error
        with connection:
            yield connection


def _refusal(status: int, body: bytes | bytearray) -> ServiceError:
    try:
        problem = json.loads(body)
        return ServiceError(problem["detail"].rstrip("."), hint=_hint(problem["code"]), code=problem["code"])
    except (ValueError, KeyError, TypeError):
        return ServiceError(f"the service answered {status}", hint="is this the URL of Voice Verify?")


def _hint(code: str) -> str:
    return {
        "unauthenticated": "give a key with --key or VV_API_KEY; voice-verify keys create makes one",
        "forbidden": "voice-verify keys create --role integrator makes a key that may",
    }.get(code, "")
