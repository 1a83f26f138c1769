"""Between vvctl and the guest: numbers the calls that change something, and does harm at one."""

from __future__ import annotations

from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from tests.doubles.appliance import Faults, HungUp, Refused, Unavailable
from tests.doubles.serving import Serving

_CHANGES = {"lock", "unlock", "force_off", "backup"}
# QEMU accepts a connection at once, and a guest that boots meanwhile hears of it late: another one is sooner answered.
_PROBE, _PROBE_S, _CALL_S = "/health/ready", 1.5, 20
_KEPT = {"authorization", "content-type"}


class Proxy(Serving):
    """On a port of its own in front of the guest's."""

    def __init__(self, guest_port: int) -> None:
        self.faults = Faults()
        self._server = _Server(guest_port, self.faults)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, guest_port: int, faults: Faults) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.guest, self.faults = f"http://127.0.0.1:{guest_port}", faults


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
        """Nobody reads it."""

    def _serve(self) -> None:
        self.close_connection = True
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        verb = self.path.rstrip("/").rpartition("/")[2]
        try:
            if self.command == "POST" and verb in _CHANGES:
                with self.server.faults.mutation(f"appliance: {verb}"):
                    answer = self._ask(body)
            else:
                answer = self._ask(body)
        except (HungUp, httpx.HTTPError):
            return
        except Refused:
            answer = httpx.Response(403, json={"detail": "The key may not do that."})
        except Unavailable:
            answer = httpx.Response(503, json={"detail": "Try again in a moment."})
        # Whoever asked may have been killed.
        with suppress(ConnectionError):
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.headers.get("Content-Type", ""))
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

    def _ask(self, body: bytes) -> httpx.Response:
        headers = {name: value for name, value in self.headers.items() if name.lower() in _KEPT}
        timeout_s = _PROBE_S if self.path == _PROBE else _CALL_S
        return httpx.request(
            self.command, self.server.guest + self.path, headers=headers, content=body, timeout=timeout_s
        )
