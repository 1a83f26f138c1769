"""The guests of the double's machines and what is on its data disks, as its events tell."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.doubles.appliance import Data, Guest
from tests.doubles.serving import Serving

_POLL_S = 0.02


class Guests(Serving):
    """A guest for each machine, made by `made` when it is first started; `layers`: what files of data disks hold."""

    def __init__(self) -> None:
        self.made: Callable[[str], Guest] = lambda _: Guest()
        # Tells the double that a guest has shut down.
        self.switched_off: Callable[[str], None] = lambda _: None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self._told))
        self.forget()

    def forget(self) -> None:
        self._guests: dict[str, Guest] = {}
        self.layers: dict[str, Data] = {}

    def guest(self, machine: str) -> Guest:
        if machine not in self._guests:
            self._guests[machine] = self.made(machine)
        return self._guests[machine]

    def _told(self, event: dict[str, Any]) -> None:
        match event["event"]:
            case "copy" if event["from"] in self.layers:
                # A guest that runs goes on with the other file, and leaves this one as it is.
                here, there = event["from"], event["to"]
                self.layers[there], self.layers[here] = self.layers[here], self.layers[here].copy()
            case "delete":
                self.layers.pop(event["from"], None)
            case "on":
                data = [self.layers[file] for file in event["disks"] if file in self.layers]
                self.guest(event["machine"]).power_on(data[0] if data else None)
            case "off":
                self.guest(event["machine"]).power_off()
            case "button":
                self.guest(event["machine"]).power_button()
                threading.Thread(target=self._shut_down, args=(event["machine"],), daemon=True).start()

    def _shut_down(self, machine: str) -> None:
        guest = self.guest(machine)
        boot, deadline = guest.boot, time.monotonic() + 5
        while guest.boot == boot and time.monotonic() < deadline:
            if guest.shut_down:
                self.switched_off(machine)
                return
            time.sleep(_POLL_S)


def _handler(told: Callable[[dict[str, Any]], None]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            told(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
            """Nobody reads it."""

    return Handler
