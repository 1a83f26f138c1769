"""Keeps a session alive, or finds that it is dead (RFC 4028, section 10)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace

from voice_verify.telephony.sip import Response, SipError
from voice_verify.telephony.sip.clock import PATIENCE, Clock, Timer
from voice_verify.telephony.uas import session_timer
from voice_verify.telephony.uas.refresh import Refresh
from voice_verify.telephony.uas.session_timer import BadTimer, SessionTimer

# After an answer that says nothing about the session, such as 500.
_RETRY_S = 10.0
# Glare: who did not choose the Call-ID waits that long at most (RFC 3261, section 14.1).
_GLARE_S = 2.0


@dataclass
class SessionKeeper:
    """`expired` is called when nobody keeps the session; `allows_update`: the peer takes UPDATE (RFC 3311)."""

    clock: Clock
    spawn: Callable[[Coroutine[None, None, None]], asyncio.Task[None]]
    refresh: Refresh
    expired: Callable[[], None]
    allows_update: bool = False

    def __post_init__(self) -> None:
        self._timer: SessionTimer | None = None
        self._handle: Timer | None = None
        self._task: asyncio.Task[None] | None = None
        # When the session counts as dead.
        self._until = 0.0
        self._stopped = False

    @property
    def offering(self) -> bool:
        """Whether a re-INVITE of ours is out, so that the peer's own has to wait."""
        return self._task is not None and not self._task.done() and not self.allows_update

    def agreed(self, timer: SessionTimer) -> None:
        """The session was refreshed, and this holds until the next time."""
        self._timer = timer
        self._until = self.clock.time() + timer.interval_s - timer.grace_s
        self._act_after(timer.acts_after_s)

    def stop(self) -> None:
        """The call is over."""
        self._stopped = True
        self._cancel()
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()

    def _cancel(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _act_after(self, seconds: float) -> None:
        self._cancel()
        if not self._stopped:
            self._handle = self.clock.call_later(seconds, self._act)

    def _act(self) -> None:
        self._handle = None
        if self._timer is not None and self._timer.ours and self.clock.time() < self._until:
            self._task = self.spawn(self._refresh(self._timer))
        else:
            self.expired()

    async def _refresh(self, timer: SessionTimer) -> None:
        headers = [
            ("Supported", "timer"),
            ("Session-Expires", f"{timer.interval_s};refresher=uac"),
            ("Min-SE", str(session_timer.MIN_INTERVAL_S)),
        ]
        try:
            async with asyncio.timeout(PATIENCE):
                response = await self.refresh.send(update=self.allows_update, headers=headers)
            self._answered(timer, response)
        except (SipError, TimeoutError, BadTimer):
            self.expired()

    def _answered(self, timer: SessionTimer, response: Response) -> None:
        """Raises BadTimer."""
        status = response.status
        if status < 300:
            self.agreed(session_timer.refreshed(timer, response.headers.get("Session-Expires")))
        elif status in (408, 481):
            self.expired()
        elif status == 422:
            longer = max(session_timer.read_min(response.headers.get("Min-SE")), timer.interval_s)
            self._timer = replace(timer, interval_s=longer)
            self._act_after(_GLARE_S)
        elif status in (405, 501) and self.allows_update:
            self.allows_update = False
            self._act_after(0.0)
        else:
            self._act_after(random.uniform(0.01, _GLARE_S) if status == 491 else _RETRY_S)  # noqa: S311
