"""HTTP/1.1 over one kept connection, as light as can be: requests are encoded once and sent many times."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any, NamedTuple


class Answer(NamedTuple):
    """`body` is empty where the answer has none."""

    status: int
    body: bytes

    def document(self) -> Any:
        return json.loads(self.body)


class Connection:
    """One request at a time; a connection that the service closed is opened again."""

    def __init__(self, api: Api) -> None:
        self._address = (api.host, api.port)
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, request: bytes) -> Answer:
        """Send an encoded request and wait for its answer; raises OSError when the service is gone."""
        if self._writer is None or self._writer.is_closing():
            self._reader, self._writer = await asyncio.open_connection(*self._address)
        assert self._reader is not None
        self._writer.write(request)
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
            return Answer(int(head[9:12]), await self._reader.readexactly(_length(head)))
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            self.close()
            raise ConnectionResetError("the service closed the connection") from error

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


@dataclass(frozen=True)
class Api:
    """Where the service is, and a key that it knows."""

    host: str
    port: int
    key: str

    def request(self, method: str, path: str, document: object = None) -> bytes:
        """An encoded request, with a JSON document when there is one."""
        body = b"" if document is None else json.dumps(document).encode()
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nAuthorization: Bearer {self.key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


def _length(head: bytes) -> int:
    _, found, rest = head.lower().partition(b"\r\ncontent-length:")
    return int(rest.partition(b"\r\n")[0]) if found else 0
