"""An ARI application: it posts what our documentation says."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Self

import httpx
from websockets.sync.client import connect

from .documented import Request

PORT = 8088
# In etc/ari.conf.
USER = "tests"
EVENT_S = 20


class Application:
    """Context manager: the application `verify` of the Asterisk at that address."""

    def __init__(self, address: str) -> None:
        self._client = httpx.Client(base_url=f"http://{address}:{PORT}", auth=(USER, USER))
        self._url = f"ws://{address}:{PORT}/ari/events?app=verify&api_key={USER}:{USER}"

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self._client)
            self._events = stack.enter_context(connect(self._url))
            self._closing = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def channel(self, name: str) -> str:
        """The identity of the channel whose name begins so."""
        channels = self._client.get("/ari/channels").raise_for_status().json()
        (found,) = (channel["id"] for channel in channels if channel["name"].startswith(name))
        return str(found)

    def fork(self, posted: Sequence[Request], words: Mapping[str, str]) -> tuple[str, str]:
        """Snoop, channel, bridge and both into it; returns the snoop and the channel that leads to the service."""
        snoop, channel, bridge, join = posted
        made = {"SNOOP": self._post(snoop, words)["id"], "FORK": self._post(channel, words)["id"]}
        self.wait("StasisStart", *made.values())
        self._post(join, {**words, **made, "BRIDGE": self._post(bridge, words)["id"]})
        return made["SNOOP"], made["FORK"]

    def wait(self, kind: str, *channels: str) -> None:
        """Until that happened to all these channels; what else happens is passed over."""
        waiting = set(channels)
        while waiting:
            event = json.loads(self._events.recv(timeout=EVENT_S))
            if event["type"] == kind:
                waiting.discard(event["channel"]["id"])

    def press(self, channel: str, digit: str) -> None:
        """As if the key had been pressed on the other side of that channel's bridge."""
        self._client.post(f"/ari/channels/{channel}/dtmf?dtmf={digit}").raise_for_status()

    def delete(self, channel: str) -> None:
        self._client.delete(f"/ari/channels/{channel}").raise_for_status()

    def _post(self, request: Request, words: Mapping[str, str]) -> dict[str, Any]:
        path, body = request
        for name, word in words.items():
            path, body = (text.replace(f"${{{name}}}", word) for text in (path, body))
        answer = self._client.post(path, json=json.loads(body) if body else None).raise_for_status()
        document: dict[str, Any] = answer.json() if answer.content else {}
        return document
