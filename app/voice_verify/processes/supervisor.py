"""The life of a process: started, watched, replaced when it dies or hangs."""

from __future__ import annotations

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from typing import Any, Generic, TypeVar

from voice_verify.processes.child import Child, ConnectionLost
from voice_verify.processes.wire import Kind, Message, ProtocolError

log = logging.getLogger(__name__)

# An emulated machine takes minutes to load Python and what the process needs.
START_S = 300.0
# A process reports twice a second; without a report for that long it hangs.
HANG_S = 10.0
_POLL_S = 0.2

# With the last death this many within that time, it will hardly be different the next time.
_DEATHS, _DEATHS_WITHIN_S = 3, 60.0
_PAUSES_S = (0.0, 1.0, 5.0)

Process = TypeVar("Process", bound=Child[Any])


class Supervisor(ABC, Generic[Kind, Process]):
    """Keeps one process running. What is abstract here is called in the supervising thread."""

    def __init__(self, name: str) -> None:
        """`name`: for the log, "engine"."""
        self.restarts = 0
        self._name = name
        # None until it has said that it is ready.
        self._child: Process | None = None
        self._stopping = threading.Event()
        # Ready, or unlikely to become so.
        self._settled = threading.Event()
        self._thread = threading.Thread(target=self._supervise, name=name, daemon=True)
        self._deaths: deque[float] = deque(maxlen=_DEATHS)
        self._last_death = ""
        self._reported = time.monotonic()

    def start(self, wait_s: float = START_S) -> None:
        """Start the process and wait until it is ready, or has died so often that `problem` says so."""
        self._thread.start()
        self._settled.wait(wait_s)

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
        """Whether the process runs and is ready."""
        return self._child is not None

    @property
    def is_failing(self) -> bool:
        """Whether it has died so often that it will hardly become ready."""
        since = time.monotonic() - _DEATHS_WITHIN_S - _PAUSES_S[-1]
        return not self.alive and len(self._deaths) == _DEATHS and self._deaths[0] > since

    @property
    def problem(self) -> str | None:
        """Why there is no such process now, and what to do; None when there is one."""
        if self.alive:
            return None
        if self.is_failing:
            return (
                f"its process ended {_DEATHS} times within a minute, the last time because {self._last_death}: "
                "see the log; it is started again every few seconds"
            )
        return "its process is starting: wait a moment"

    @abstractmethod
    def _launch(self) -> Process:
        """Start it; raises OSError."""

    @abstractmethod
    def _told(self, child: Process, message: Message[Kind]) -> bool:
        """It sent something; whether that shows that it works. Raises ConnectionLost when it cannot go on."""

    @abstractmethod
    def _lost(self) -> None:
        """It is gone, whether it was ready or not."""

    @abstractmethod
    def _look(self) -> None:
        """Called several times a second while it lives."""

    @abstractmethod
    def _moved_in(self, child: Process) -> None:
        """It is ready, as `_welcome` was told."""

    def _welcome(self, child: Process, **fields: object) -> None:
        """To be called when it says that it is ready; `fields` are for the log."""
        self._child = child
        self._moved_in(child)
        log.info("the %s is ready", self._name, extra={"fields": {**fields, "process": child.pid}})
        self._settled.set()

    def _supervise(self) -> None:
        while not self._stopping.is_set():
            try:
                self._last_death = self._live()
            except OSError as error:
                self._last_death = f"it could not be started ({error.strerror})"
            except Exception as error:
                log.exception("what the %s sent was not taken", self._name)
                self._last_death = f"the service failed to follow it ({type(error).__name__})"
            if self._stopping.is_set():
                return
            log.error("the %s's process ended because %s", self._name, self._last_death)
            self.restarts += 1
            now = time.monotonic()
            self._deaths.append(now)
            recent = sum(now - death < _DEATHS_WITHIN_S for death in self._deaths)
            if recent == _DEATHS:
                self._settled.set()
            self._stopping.wait(_PAUSES_S[recent - 1])

    def _live(self) -> str:
        """One life of the process; returns why it ended."""
        child = self._launch()
        reason = ""
        try:
            reason = self._follow(child)
        except (ConnectionLost, ProtocolError) as error:
            reason = str(error)
        finally:
            self._child = None
            self._lost()
            status = child.end() if self._stopping.is_set() else child.kill()
        return f"{reason} (exit status {status})"

    def _follow(self, child: Process) -> str:
        deadline = time.monotonic() + START_S
        while not self._stopping.is_set():
            for message in child.receive(_POLL_S):
                if self._told(child, message):
                    self._reported = time.monotonic()
                    deadline = self._reported + HANG_S
            self._look()
            if time.monotonic() > deadline:
                return "it said nothing for too long"
        return "the service stops"
