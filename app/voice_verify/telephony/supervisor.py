"""The telephony process under supervision, and what it reports about itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Protocol

from voice_verify.processes import supervisor
from voice_verify.processes.child import Child, ConnectionLost
from voice_verify.processes.wire import pack
from voice_verify.telephony import protocol
from voice_verify.telephony.agent import TelephonyConfig
from voice_verify.telephony.protocol import Kind, Message, Parser, Status

MODULE = "voice_verify.telephony"

Process = Child[Kind]


class Tenant(Protocol):
    """Who works with the process; called from the supervising thread."""

    def launched(self, child: Process) -> None:
        """It was started, and may send what comes next."""

    def told(self, message: Message) -> None:
        """It sent something that is not about itself; raises ProtocolError."""

    def lost(self) -> None:
        """It is gone, whether it was ready or not."""


class Supervisor(supervisor.Supervisor[Kind, Process]):
    """Keeps one telephony process running for its tenant."""

    def __init__(self, configure: Callable[[], TelephonyConfig], tenant: Tenant) -> None:
        """`configure` is asked before each start; it must not raise."""
        super().__init__("telephony")
        self._configure = configure
        self._tenant = tenant
        self._status = Status()
        # What processes that are gone have counted and used.
        self._ended_counts: Mapping[tuple[str, str], float] = {}
        self._ended_cpu_s = 0.0

    @property
    def status(self) -> Status:
        """What the process reported last; processor time and counts are those of all processes since the start."""
        status = self._status
        counts = dict(self._ended_counts)
        for name, count in status.counts.items():
            counts[name] = counts.get(name, 0.0) + count
        return Status(self._ended_cpu_s + status.cpu_s, status.memory_bytes, counts, status.gauges)

    # What follows runs in the supervising thread.

    def _launch(self) -> Process:
        # May be too long; nobody would end a process that was started before that is known.
        config = protocol.pack_config(self._configure())
        child = Process(MODULE, [], Parser(), stop=pack(Kind.stop), environment=_environment(), gather_s=0)
        child.send(config)
        self._tenant.launched(child)
        return child

    def _told(self, child: Process, message: Message) -> bool:
        match message.kind:
            case Kind.ready:
                self._welcome(child)
            case Kind.status:
                self._status = protocol.unpack_status(message.content)
            case Kind.failed:
                error = protocol.unpack_failed(message.content)
                raise ConnectionLost(f"{error.message}; {error.hint}" if error.hint else error.message)
            case _:
                self._tenant.told(message)
                return False
        return True

    def _moved_in(self, child: Process) -> None:
        """It began with all that it needs."""

    def _look(self) -> None:
        """There is nothing else to see."""

    def _lost(self) -> None:
        ended, self._status = self.status, Status()
        self._ended_counts, self._ended_cpu_s = ended.counts, ended.cpu_s
        self._tenant.lost()


def _environment() -> dict[str, str]:
    """Ours without the settings of the service: who answers strangers shall not know its database and its keys."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("VV_") and name != "CREDENTIALS_DIRECTORY"
    }
