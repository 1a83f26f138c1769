"""The life of the engine process: started, watched, replaced when it dies or hangs."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from voice_verify.engine import protocol
from voice_verify.engine.admission import Admission
from voice_verify.engine.child import Child, ConnectionLost
from voice_verify.engine.protocol import Kind, Message, Status

log = logging.getLogger(__name__)

# An emulated machine takes minutes to load Python and the model.
START_S = 300.0
# The process reports twice a second; without a report for that long it hangs.
HANG_S = 10.0
_OVERDUE_S = 2.0
_POLL_S = 0.2

# With the last death this many within that time, it will hardly be different the next time.
_DEATHS, _DEATHS_WITHIN_S = 3, 60.0
_PAUSES_S = (0.0, 1.0, 5.0)


class Tenant(Protocol):
    """Who works with the process; called from the supervising thread."""

    def moved_in(self, child: Child) -> None:
        """The process has loaded its model."""

    def told(self, message: Message) -> None:
        """It sent something that is not about itself; raises ConnectionLost when it cannot go on."""

    def lost(self) -> None:
        """It is gone, whether it was ready or not."""


class Supervisor:
    """Keeps one engine process running for its tenant."""

    def __init__(self, model_dir: Path, threads: int, *, identity: str, tenant: Tenant) -> None:
        self.restarts = 0
        self.precision = ""
        self._model_dir = model_dir
        self._threads = threads
        self._identity = identity
        self._tenant = tenant
        # None until it has said that it is ready.
        self._child: Child | None = None
        self._stopping = threading.Event()
        # Ready, or unlikely to become so.
        self._settled = threading.Event()
        self._thread = threading.Thread(target=self._supervise, name="engine", daemon=True)
        self._deaths: deque[float] = deque(maxlen=_DEATHS)
        self._last_death = ""
        self._status = Status()
        self._reported = time.monotonic()
        # What processes that are gone have used.
        self._ended = Status()
        self._admission = Admission()

    def start(self) -> None:
        """Start the process and wait until it is ready, or has died so often that `problem` says so."""
        self._thread.start()
        self._settled.wait(START_S)

    def stop(self) -> None:
        """End the process and wait for it; does nothing when it was never started."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    @property
    def is_current_thread(self) -> bool:
        return threading.current_thread() is self._thread

    @property
    def alive(self) -> bool:
        """Whether the process runs and has loaded its model."""
        return self._child is not None

    @property
    def problem(self) -> str | None:
        """Why there is no engine now, and what to do; None when there is one."""
        if self.alive:
            return None
        since = time.monotonic() - _DEATHS_WITHIN_S - _PAUSES_S[-1]
        if len(self._deaths) == _DEATHS and self._deaths[0] > since:
            return (
                f"its process ended {_DEATHS} times within a minute, the last time because {self._last_death}: "
                "see the log; it is started again every few seconds"
            )
        return "its process is starting: wait a moment"

    @property
    def status(self) -> Status:
        """What the process reported last; processor time is that of all processes since the start."""
        status, ended = self._status, self._ended
        return replace(
            status,
            cpu_vad_s=status.cpu_vad_s + ended.cpu_vad_s,
            cpu_features_s=status.cpu_features_s + ended.cpu_features_s,
            cpu_embedding_s=status.cpu_embedding_s + ended.cpu_embedding_s,
            cpu_other_s=status.cpu_other_s + ended.cpu_other_s,
        )

    @property
    def lag_s(self) -> float:
        """Age of the oldest audio that is not in its stream's voice yet, wherever it waits; 0 without an engine."""
        child = self._child
        if child is None:
            return 0.0
        # A report that is overdue says that the process is behind, too.
        overdue = time.monotonic() - self._reported - _OVERDUE_S
        return max(self._status.lag_s, overdue, child.unsent_s, 0.0)

    @property
    def refusal(self) -> str | None:
        """Why the engine should get no more streams now; None when it should."""
        return self._admission.refusal

    # What follows runs in the supervising thread.

    def _supervise(self) -> None:
        while not self._stopping.is_set():
            try:
                self._last_death = self._live()
            except OSError as error:
                self._last_death = f"it could not be started ({error.strerror})"
            if self._stopping.is_set():
                return
            log.error("the engine's process ended because %s", self._last_death)
            self.restarts += 1
            now = time.monotonic()
            self._deaths.append(now)
            recent = sum(now - death < _DEATHS_WITHIN_S for death in self._deaths)
            if recent == _DEATHS:
                self._settled.set()
            self._stopping.wait(_PAUSES_S[recent - 1])

    def _live(self) -> str:
        """One life of the process; returns why it ended."""
        child = Child(self._model_dir, self._threads)
        reason = ""
        try:
            reason = self._follow(child)
        except (ConnectionLost, protocol.ProtocolError) as error:
            reason = str(error)
        finally:
            self._child = None
            self._ended, self._status = self.status, Status()
            self._admission = Admission()
            self._tenant.lost()
            status = child.end() if self._stopping.is_set() else child.kill()
        return f"{reason} (exit status {status})"

    def _follow(self, child: Child) -> str:
        deadline = time.monotonic() + START_S
        while not self._stopping.is_set():
            for message in child.receive(_POLL_S):
                match message.kind:
                    case Kind.ready:
                        self._welcome(child, protocol.unpack_ready(message.content))
                    case Kind.status:
                        self._status = protocol.unpack_status(message.content)
                        self._admission.told_busy(self._status.busy, self._status.streams)
                    case _:
                        self._tenant.told(message)
                        continue
                self._reported = time.monotonic()
                deadline = self._reported + HANG_S
            self._admission.told_lag(self.lag_s)
            if time.monotonic() > deadline:
                return "it said nothing for too long"
        return "the service stops"

    def _welcome(self, child: Child, ready: protocol.Ready) -> None:
        if ready.model_identity != self._identity:
            raise ConnectionLost("the model on disk is another one now: restart the service")
        self.precision = ready.precision
        self._child = child
        self._tenant.moved_in(child)
        log.info("the engine is ready", extra={"fields": {"precision": ready.precision, "process": child.pid}})
        self._settled.set()
