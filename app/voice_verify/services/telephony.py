"""Calls by SIP: the telephony process, the streams of its calls, and how the PBX instances stand."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import partial
from uuid import UUID

from voice_verify.errors import DatabaseUnavailable
from voice_verify.services.call_legs import CallLegs
from voice_verify.services.streams import StreamService
from voice_verify.store.pbx import PbxStore, StoredPbx
from voice_verify.telephony import protocol
from voice_verify.telephony.agent import LastError, PbxInstance, PbxState, RegistrationState, TelephonyConfig
from voice_verify.telephony.protocol import Kind, Message, Status
from voice_verify.telephony.supervisor import Process, Supervisor

log = logging.getLogger(__name__)

# Opening asks the database, ending waits for the engine: neither shall wait for the other.
_OPENERS, _ENDERS = 4, 8


class TelephonyState(StrEnum):
    off = "off"
    starting = "starting"
    running = "running"
    failed = "failed"


@dataclass(frozen=True)
class PbxStanding:
    """How we stand with a PBX instance; `running_calls`: by Call-ID, however many streams each has."""

    state: RegistrationState
    since: datetime | None
    until: datetime | None
    last_error: LastError | None
    running_calls: int


class TelephonyService:
    """Without `config` there is no telephony process, and all else works."""

    def __init__(self, config: TelephonyConfig | None, streams: StreamService, pbx: PbxStore) -> None:
        self._streams = streams
        self._store = pbx
        self._openers = ThreadPoolExecutor(_OPENERS, thread_name_prefix="calls-open")
        self._enders = ThreadPoolExecutor(_ENDERS, thread_name_prefix="calls-end")
        self._lock = threading.Lock()
        self._instances: tuple[PbxInstance, ...] = ()
        self._undecipherable: frozenset[str] = frozenset()
        # Those that the present process was started with.
        self._launched_with: tuple[PbxInstance, ...] = ()
        self._child: Process | None = None
        self._legs: CallLegs | None = None
        self._states: Mapping[UUID, PbxState] = {}
        self._supervisor = None if config is None else Supervisor(partial(self._configured, config), self)

    def start(self) -> None:
        """Start the process without waiting for it; `state` tells when calls can come."""
        if self._supervisor is not None:
            with suppress(DatabaseUnavailable):
                self.refresh()
            self._supervisor.start(wait_s=0)

    def refuse_new(self) -> None:
        """Take no more calls, because the service stops."""
        legs = self._legs
        if legs is not None:
            legs.refuse_new()

    def stop(self) -> None:
        """End the process, which ends its calls."""
        if self._supervisor is not None:
            self._supervisor.stop()
        self._openers.shutdown()
        self._enders.shutdown()

    @property
    def state(self) -> TelephonyState:
        supervisor = self._supervisor
        if supervisor is None:
            return TelephonyState.off
        if supervisor.alive:
            return TelephonyState.running
        return TelephonyState.failed if supervisor.is_failing else TelephonyState.starting

    @property
    def problem(self) -> str | None:
        """Why no call can come now, and what to do; None when one can, and when there shall be none."""
        return None if self._supervisor is None else self._supervisor.problem

    @property
    def restarts(self) -> int:
        """How often the process was replaced."""
        return 0 if self._supervisor is None else self._supervisor.restarts

    @property
    def status(self) -> Status:
        """What the process reported last; processor time and counts are those of all processes since the start."""
        return Status() if self._supervisor is None else self._supervisor.status

    @property
    def streams_by_source(self) -> Mapping[str, int]:
        """How many streams of calls run."""
        return Counter(stream.source for stream in self._streams.all() if stream.source != "websocket")

    @property
    def instances(self) -> Sequence[PbxInstance]:
        """As the process knows them."""
        return self._instances

    def standings(self) -> Mapping[str, PbxStanding]:
        """How we stand with each PBX instance that the process told of or that sends calls, by its uuid."""
        states, calls = self._states, self._running_calls()
        known = {str(uuid) for uuid in states} | calls.keys()
        return {uuid: _standing(states.get(UUID(uuid)), calls.get(uuid, 0)) for uuid in known}

    def refresh(self) -> None:
        """Twice a second: tell the process what changed of the PBX instances. Raises DatabaseUnavailable."""
        if self._supervisor is None:
            return
        found = self._store.with_passwords()
        undecipherable = frozenset(stored.uuid for stored, password in found if stored.has_password and not password)
        if undecipherable - self._undecipherable:
            log.error("passwords of PBX instances cannot be read", extra={"fields": {"pbx": sorted(undecipherable)}})
        self._undecipherable = undecipherable
        instances = tuple(_instance(stored, password) for stored, password in found)
        with self._lock:
            if instances == self._instances:
                return
            self._instances = instances
            if self._child is not None:
                self._child.send(protocol.pack_pbx(instances))

    # What follows is called by the supervisor.

    def _configured(self, config: TelephonyConfig) -> TelephonyConfig:
        with self._lock:
            self._launched_with = self._instances
        return replace(config, pbx=self._launched_with)

    def launched(self, child: Process) -> None:
        legs = CallLegs(self._streams, child.send, openers=self._openers, enders=self._enders)
        with self._lock:
            self._child, self._legs = child, legs
            if self._instances != self._launched_with:
                child.send(protocol.pack_pbx(self._instances))

    def told(self, message: Message) -> None:
        if message.kind is Kind.states:
            self._states = {state.uuid: state for state in protocol.unpack_states(message.content)}
        elif self._legs is not None:
            self._legs.told(message)

    def lost(self) -> None:
        with self._lock:
            self._child, legs, self._legs = None, self._legs, None
        self._states = {}
        if legs is not None:
            legs.lost()

    def _running_calls(self) -> Mapping[str, int]:
        calls = {(stream.call.pbx, stream.call.call_id) for stream in self._streams.all()}
        return Counter(pbx for pbx, _ in calls if pbx is not None)


NO_STANDING = PbxStanding(RegistrationState.not_registered, None, None, None, 0)


def _standing(state: PbxState | None, running_calls: int) -> PbxStanding:
    if state is None:
        return replace(NO_STANDING, running_calls=running_calls)
    return PbxStanding(state.state, state.since, state.until, state.last_error, running_calls)


def _instance(stored: StoredPbx, password: str | None) -> PbxInstance:
    return PbxInstance(uuid=UUID(stored.uuid), **vars(stored.pbx), password=password)
