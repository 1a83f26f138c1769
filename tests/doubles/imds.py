"""EC2's instance metadata service, as strict as the real one with HttpTokens=required; standard library only.

`python3 imds.py 169.254.169.254 80 < instance.json` runs it alone, also inside a machine. The instance is a JSON
object: {"user_data": text or null, "public_key": text or null, "interfaces": [{"mac": ..., "device_number": ...,
"local_ipv4s": [...]}], "enabled": bool, "refusals": how many requests get a 503 before the service answers}.

Amazon EC2 User Guide, "Use the Instance Metadata Service to access instance metadata".
"""

from __future__ import annotations

import json
import secrets
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LONGEST_TTL_S = 21_600
TTL_HEADER, TOKEN_HEADER = "X-aws-ec2-metadata-token-ttl-seconds", "X-aws-ec2-metadata-token"


class Imds(ThreadingHTTPServer):
    """The service of one instance; `asked` lists every request as (method, path, status)."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], instance: dict[str, Any]) -> None:
        super().__init__(address, _Handler)
        self.instance = instance
        self.refusals = int(instance.get("refusals", 0))
        self.asked: list[tuple[str, str, int]] = []
        self._tokens: dict[str, float] = {}

    def new_token(self, ttl_s: int) -> str:
        token = secrets.token_urlsafe(40)
        self._tokens[token] = time.monotonic() + ttl_s
        return token

    def forget_tokens(self) -> None:
        """As when they have run out."""
        self._tokens.clear()

    def takes(self, token: str | None) -> bool:
        return token is not None and self._tokens.get(token, 0.0) > time.monotonic()

    def content(self, path: str) -> str | None:
        """What is at a path below /latest/; None for 404."""
        instance = self.instance
        found: dict[str, str | None] = {"user-data": instance.get("user_data")}
        if instance.get("public_key"):
            found["meta-data/public-keys/"] = "0=launch-key"
            found["meta-data/public-keys/0/openssh-key"] = instance["public_key"] + "\n"
        macs = "meta-data/network/interfaces/macs/"
        first = {"mac": "0e:00:00:00:00:00", "device_number": 0, "local_ipv4s": ["10.0.0.4"]}
        cards = instance.get("interfaces", [first])
        found[macs] = "\n".join(f"{card['mac']}/" for card in cards)
        for card in cards:
            found[f"{macs}{card['mac']}/device-number"] = str(card["device_number"])
            found[f"{macs}{card['mac']}/local-ipv4s"] = "\n".join(card["local_ipv4s"])
        return found.get(path)


class _Handler(BaseHTTPRequestHandler):
    server: Imds

    def do_PUT(self) -> None:
        ttl = self.headers.get(TTL_HEADER, "")
        if self.path != "/latest/api/token":
            self._answer(404)
        elif "X-Forwarded-For" in self.headers:
            # A token never goes through a proxy.
            self._answer(403)
        elif not ttl.isdigit() or not 1 <= int(ttl) <= LONGEST_TTL_S:
            self._answer(400)
        else:
            self._answer(200, lambda: self.server.new_token(int(ttl)))

    def do_GET(self) -> None:
        if not self.server.takes(self.headers.get(TOKEN_HEADER)):
            self._answer(401)
            return
        content = self.server.content(self.path.removeprefix("/latest/"))
        self._answer(404 if content is None else 200, lambda: content or "")

    def _answer(self, status: int, content: Any = str) -> None:
        if not self.server.instance.get("enabled", True):
            status = 403
        elif self.server.refusals:
            self.server.refusals -= 1
            status = 503
        body = content().encode() if status == 200 else b"<html>error</html>"
        self.server.asked.append((self.command, self.path, status))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Silent: the tests look at `asked`."""


if __name__ == "__main__":
    with Imds((sys.argv[1], int(sys.argv[2])), json.load(sys.stdin)) as service:
        service.serve_forever()
