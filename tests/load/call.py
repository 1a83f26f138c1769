"""One call: audio in real time over a WebSocket, and verification queries on a schedule of their own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from . import http

QUERY_S = 0.5
"""Two verification queries a second."""
CREATED, OK, UNAVAILABLE = 201, 200, 503


@dataclass(frozen=True)
class Plan:
    """`connect_at` and `begin_at` are moments of time.monotonic(); `frames` are encoded WebSocket frames that are
    sent one after the other from `first` on, and again from the start; the queries come `query_phase_s` after them.
    """

    speaker: str
    conversation: int
    first: int
    connect_at: float
    begin_at: float
    query_phase_s: float


@dataclass(frozen=True)
class Decision:
    """`due`, `sent` and `answered` are moments; `age_s` is the audio sent by then that the decision does not know."""

    due: float
    sent: float
    answered: float
    status: int
    age_s: float
    decision: str


@dataclass
class Outcome:
    """What became of a call that asked to be let in at `asked`.

    `heard_s` is what the service says it heard, None when it never said; `late_s` how late the load generator was.
    """

    asked: float = 0.0
    refused: int | None = None
    problem: str = ""
    sent_s: float = 0.0
    heard_s: float | None = None
    net_speech_s: float = 0.0
    late_s: float = 0.0
    decisions: list[Decision] = field(default_factory=list)


class Call:
    def __init__(self, plan: Plan, frames: Sequence[bytes], frame_s: float, api: http.Api) -> None:
        self._plan = plan
        self._frames = frames
        self._frame_s = frame_s
        self._queries = http.Connection(api)
        self._api = api
        self.outcome = Outcome()

    async def run(self, until: float) -> Outcome:
        """Make the call, hang up at `until`, and wait for what the service heard."""
        await _at(self._plan.connect_at)
        outcome = self.outcome
        outcome.asked = time.monotonic()
        try:
            created = await self._queries.ask(self._api.request("POST", "/api/v2/streams"))
            if created.status != CREATED:
                outcome.refused = created.status
                outcome.problem = str(created.document().get("code"))
                return outcome
            stream = created.document()
            async with connect(f"{stream['url']}&codec=alaw&rate=8000", compression=None, max_queue=None) as websocket:
                listening = asyncio.create_task(self._listen(websocket))
                asking = asyncio.create_task(self._ask(stream["uuid"], until))
                await self._talk(websocket, until)
                await asking
                await self._queries.ask(self._api.request("DELETE", f"/api/v2/streams/{stream['uuid']}"))
                await listening
        except (OSError, ConnectionClosed, TimeoutError) as error:
            outcome.problem = outcome.problem or f"{type(error).__name__}: {error}"
        finally:
            self._queries.close()
        return outcome

    async def _talk(self, websocket: ClientConnection, until: float) -> None:
        outcome = self.outcome
        due = self._plan.begin_at
        index = self._plan.first
        while due < until:
            await _at(due)
            if websocket.transport.is_closing():
                outcome.problem = outcome.problem or "the service closed the connection"
                return
            # A frame encoded beforehand: the library would mask it anew for each call.
            websocket.transport.write(self._frames[index % len(self._frames)])
            outcome.late_s = max(outcome.late_s, time.monotonic() - due)
            outcome.sent_s = round(outcome.sent_s + self._frame_s, 3)
            index += 1
            due += self._frame_s

    async def _ask(self, uuid: str, until: float) -> None:
        request = self._api.request("POST", f"/api/v2/streams/{uuid}/verify", {"speaker": self._plan.speaker})
        due = self._plan.begin_at + self._plan.query_phase_s
        while due < until:
            await _at(due)
            sent = time.monotonic()
            answer = await self._queries.ask(request)
            answered = time.monotonic()
            age_s, decision = 0.0, ""
            if answer.status == OK:
                result = answer.document()
                age_s, decision = self.outcome.sent_s - result["audio_window"]["end_s"], result["decision"]
            self.outcome.decisions.append(Decision(due, sent, answered, answer.status, age_s, decision))
            due += QUERY_S

    async def _listen(self, websocket: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for message in websocket:
                event = json.loads(message)
                match event["event"]:
                    case "end":
                        self.outcome.heard_s, self.outcome.net_speech_s = event["audio_s"], event["net_speech_s"]
                    case "error":
                        self.outcome.problem = event["code"]


async def _at(moment: float) -> None:
    if (wait := moment - time.monotonic()) > 0:
        await asyncio.sleep(wait)
