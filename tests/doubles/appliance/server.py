"""The appliance at the wire: what `vvctl upgrade` asks of its API, answered by the guest that is at its address.

Nobody at the address: connections are accepted and closed without an answer, a few times faster than a real address
at which nobody is.
"""

from __future__ import annotations

import gzip
import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from python_multipart.multipart import parse_form

from tests.doubles.serving import Serving

from .faults import Faults, HungUp, Refused, Unavailable
from .guest import Data, Guest, inventory

OPERATOR_KEY = "vv_operator_of_the_double"
_PROBLEM = "application/problem+json"


class Problem(Exception):
    """An answer as application/problem+json."""

    def __init__(self, status: HTTPStatus, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail


class Appliance(Serving):
    """The API of whichever guest is at the address, on a port of 127.0.0.1.

    `at_address` is asked at each request. `faults` numbers the calls that change something; `requests` lists all that
    were answered: method, path, status.
    """

    def __init__(self, at_address: Callable[[], Guest | None], *, certificate: tuple[Path, Path] | None = None) -> None:
        self.at_address = at_address
        self.faults = Faults()
        self.requests: list[tuple[str, str, int]] = []
        self._server = _Server(self)
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            self._scheme = "https"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, appliance: Appliance) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.appliance = appliance


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    # Not the answer's first line alone in a packet that the next one waits for.
    wbufsize = -1

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
        """Nobody reads it."""

    def _serve(self) -> None:
        # Before anything else: on a connection that is kept alive the body would be the next request.
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            status, media_type, content = HTTPStatus.OK, *self._answer(body)
        except Problem as problem:
            document = {"status": problem.status, "code": problem.code, "detail": problem.detail}
            status, media_type, content = problem.status, _PROBLEM, json.dumps(document).encode()
        except HungUp:
            self.close_connection = True
            return
        self.server.appliance.requests.append((self.command, self.path, status))
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _answer(self, body: bytes) -> tuple[str, bytes]:
        guest = self.server.appliance.at_address()
        data = guest.data if guest is not None else None
        if guest is None or data is None:
            raise HungUp
        address = urlsplit(self.path)
        path = address.path.rstrip("/")
        if path == "/health/ready":
            if not guest.ready:
                raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "not_ready", "It is starting.")
            return _json({"status": "ready"})
        self._check_key()
        match self.command, path.removeprefix("/api/v2"):
            case "GET", "/maintenance/inventory":
                return _json(inventory(guest, data, _through(address.query, data)))
            case "GET", "/maintenance":
                return _json(_maintenance(guest, data))
            case "POST", "/verify":
                return _json(_verified(data, self.headers.get("Content-Type", ""), body))
            case "POST", "/maintenance/lock" | "/maintenance/unlock" | "/maintenance/force_off" | "/maintenance/backup":
                return self._change(guest, data, path.rpartition("/")[2])
        raise Problem(HTTPStatus.NOT_FOUND, "not_found", f"There is no {self.command} {address.path}.")

    def _change(self, guest: Guest, data: Data, verb: str) -> tuple[str, bytes]:
        if verb == "backup" and not data.maintenance:
            raise Problem(HTTPStatus.CONFLICT, "maintenance_required", "Enter maintenance mode first.")
        if verb == "backup" and guest.streams:
            raise Problem(HTTPStatus.CONFLICT, "streams_running", "Streams are running.")
        with _as_problems(), self.server.appliance.faults.mutation(f"appliance: {verb}"):
            data.records["audit"].append(verb)
            if verb == "force_off":
                ended, guest.streams = guest.streams, 0
                return _json({"ended_streams": ended})
            if verb == "backup":
                return "application/gzip", gzip.compress(json.dumps(data.records).encode(), mtime=0)
            data.maintenance = verb == "lock"
            return _json(_maintenance(guest, data))

    def _check_key(self) -> None:
        if self.headers.get("Authorization") != f"Bearer {OPERATOR_KEY}":
            raise Problem(HTTPStatus.UNAUTHORIZED, "unauthenticated", "The key is unknown.")


@contextmanager
def _as_problems() -> Iterator[None]:
    """Faults as the appliance tells of them."""
    try:
        yield
    except Refused:
        raise Problem(HTTPStatus.FORBIDDEN, "forbidden", "The key may not do that.") from None
    except Unavailable:
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "overloaded", "Try again in a moment.") from None


def _json(document: dict[str, object]) -> tuple[str, bytes]:
    return "application/json", json.dumps(document).encode()


def _maintenance(guest: Guest, data: Data) -> dict[str, object]:
    return {"mode": data.maintenance, "since": None, "running_streams": guest.streams}


def _through(query: str, data: Data) -> int | None:
    given = parse_qs(query).get("through")
    if not given:
        return None
    if not given[0].isdigit() or int(given[0]) > len(data.records["audit"]):
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_request", "through is not that of an inventory.")
    return int(given[0])


def _verified(data: Data, content_type: str, body: bytes) -> dict[str, object]:
    """A recording of a speaker holds the speaker's name."""
    if not content_type.startswith("multipart/form-data"):
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_request", "A form is needed.")
    fields: dict[str, bytes] = {}

    def take_field(part: Any) -> None:
        fields[part.field_name.decode()] = part.value

    def take_file(part: Any) -> None:
        part.file_object.seek(0)
        fields[part.field_name.decode()] = part.file_object.read()

    headers = {"Content-Type": content_type.encode(), "Content-Length": str(len(body)).encode()}
    parse_form(headers, _Once(body), take_field, take_file)
    if set(fields) != {"speaker", "recording"}:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_request", "speaker and recording are needed.")
    speaker = fields["speaker"]
    if speaker.decode() not in data.records["speakers"]:
        return {"decision": "not_sure", "reason": "speaker_not_enrolled"}
    return {"decision": "verified" if speaker in fields["recording"] else "not_verified", "reason": "ok"}


class _Once:
    """A body as a stream."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def read(self, size: int) -> bytes:
        block, self._content = self._content[:size], self._content[size:]
        return block
