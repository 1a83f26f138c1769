"""The engine process under supervision, and what it reports about itself."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from voice_verify.engine import protocol
from voice_verify.engine.admission import Admission
from voice_verify.engine.child import Child
from voice_verify.engine.protocol import Kind, Message, Status
from voice_verify.processes import supervisor
from voice_verify.processes.child import ConnectionLost

_OVERDUE_S = 2.0


class Tenant(Protocol):
    """Who works with the process; called from the supervising thread."""

    def moved_in(self, child: Child) -> None:
        """The process has loaded its model."""

    def told(self, message: Message) -> None:
        """It sent something that is not about itself; raises ConnectionLost when it cannot go on."""

    def lost(self) -> None:
        """It is gone, whether it was ready or not."""


class Supervisor(supervisor.Supervisor[Kind, Child]):
    """Keeps one engine process running for its tenant."""

    def __init__(self, model_dir: Path, threads: int, *, identity: str, tenant: Tenant) -> None:
        super().__init__("engine")
        self.precision = ""
        self._model_dir = model_dir
        self._threads = threads
        self._identity = identity
        self._tenant = tenant
        self._status = Status()
        # What processes that are gone have used.
        self._ended = Status()
        self._admission = Admission()

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

    def _launch(self) -> Child:
        return Child(self._model_dir, self._threads)

    def _told(self, child: Child, message: Message) -> bool:
        match message.kind:
            case Kind.ready:
                ready = protocol.unpack_ready(message.content)
                if ready.model_identity != self._identity:
                    raise ConnectionLost("the model on disk is another one now: restart the service")
                self.precision = ready.precision
                self._welcome(child, precision=ready.precision)
            case Kind.status:
                self._status = protocol.unpack_status(message.content)
                self._admission.told_busy(self._status.busy, self._status.streams)
            case _:
                self._tenant.told(message)
                return False
        return True

    def _moved_in(self, child: Child) -> None:
        self._tenant.moved_in(child)

    def _look(self) -> None:
        self._admission.told_lag(self.lag_s)

    def _lost(self) -> None:
        self._ended, self._status = self.status, Status()
        self._admission = Admission()
        self._tenant.lost()
