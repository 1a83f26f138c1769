"""Somebody who asks for a call again and again, and notes when the appliance let it in."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

import httpx

_EVERY_S = 0.25
_MAINTENANCE = "maintenance_mode"


class Answer(StrEnum):
    """What became of a call."""

    ACCEPTED = "accepted"
    # The appliance is in maintenance mode.
    REFUSED = "refused"
    # It takes no further one, because it is emulated and slow.
    BUSY = "busy"
    # Nobody said anything.
    UNREACHED = "unreached"


@dataclass(frozen=True)
class Call:
    """`at`: seconds of the epoch when the answer was there."""

    at: float
    answer: Answer


@dataclass
class Caller:
    """Calls while it is open."""

    url: str
    key: str
    calls: list[Call] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._call, name="caller")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def refused(self) -> tuple[float, float]:
        """When the first call was refused and when the next one was accepted."""
        began = next(call.at for call in self.calls if call.answer is Answer.REFUSED)
        return began, next(call.at for call in self.calls if call.at > began and call.answer is Answer.ACCEPTED)

    def answered_after(self, moment: float) -> float:
        """When a system that was started at that moment answered, in whatever way, for the first time."""
        return next(call.at for call in self.calls if call.at > moment and call.answer is not Answer.UNREACHED)

    def _call(self) -> None:
        with httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {self.key}"},
            timeout=5,
            limits=httpx.Limits(max_keepalive_connections=0),
        ) as client:
            while not self._end.wait(_EVERY_S):
                answer = _ask(client)
                self.calls.append(Call(time.time(), answer))


def _ask(client: httpx.Client) -> Answer:
    try:
        opened = client.post("/api/v2/streams")
        if opened.is_error:
            return Answer.REFUSED if opened.json()["code"] == _MAINTENANCE else Answer.BUSY
        client.delete(f"/api/v2/streams/{opened.json()['uuid']}")
    except httpx.HTTPError:
        return Answer.UNREACHED
    return Answer.ACCEPTED
