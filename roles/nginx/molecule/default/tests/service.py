"""Stands for the service on 127.0.0.1:8000: echoes WebSocket frames, and tells what arrived of everything else."""

import base64
import hashlib
import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# RFC 6455, section 1.3.
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.headers.get("Upgrade") == "websocket":
            self.echo()
        else:
            self.answer({})

    def do_POST(self) -> None:
        left, began = int(self.headers["Content-Length"]), 0.0
        while left:
            left -= len(self.rfile.read(min(left, 65536)))
            began = began or time.monotonic()
        self.answer({"spread_s": time.monotonic() - began, "size": int(self.headers["Content-Length"])})

    def answer(self, facts: dict[str, object]) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = json.dumps({**facts, "path": self.path, "headers": headers}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def echo(self) -> None:
        accept = hashlib.sha1((self.headers["Sec-WebSocket-Key"] + GUID).encode(), usedforsecurity=False).digest()
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(accept).decode())
        self.end_headers()
        # Masked frames of less than 126 bytes.
        while head := self.rfile.read(6):
            mask, payload = head[2:6], self.rfile.read(head[1] & 127)
            data = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
            self.wfile.write(bytes([0x81, len(data)]) + data)
        self.close_connection = True


ThreadingHTTPServer(("127.0.0.1", 8000), Handler).serve_forever()
