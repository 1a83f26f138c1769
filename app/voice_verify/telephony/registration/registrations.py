"""All registrations of the process: one for each PBX instance that has a username."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from voice_verify.telephony.agent import (
    AgentError,
    PbxInstance,
    PbxState,
    RegistrationState,
    Service,
    TelephonyConfig,
)
from voice_verify.telephony.registration.machine import Registration
from voice_verify.telephony.registration.registrant import Place, Registrant
from voice_verify.telephony.sip import Sip, SipError, SipUri, Transports


class Registrations:
    """Begins with `configure`; tells `service` how all instances stand whenever that changes."""

    def __init__(self, sip: Sip, transports: Transports, config: TelephonyConfig, service: Service) -> None:
        """Raises AgentError when the file of the authorities cannot be used."""
        self._sip = sip
        self._transports = transports
        self._service = service
        self._place = Place(config.advertised, config.public_port, config.public_tls_port, _verifying(config))
        self._instances: dict[UUID, PbxInstance] = {}
        self._registrants: dict[UUID, Registrant] = {}
        # What takes a registration back while its instance is gone or registers anew.
        self._retiring: dict[UUID, asyncio.Task[None]] = {}
        self._told: list[PbxState] = []

    @property
    def states(self) -> list[PbxState]:
        """Of all instances, in their order."""
        return [self._state(instance) for instance in self._instances.values()]

    def configure(self, instances: Sequence[PbxInstance]) -> None:
        """These are all instances now. What is as it was stays registered; what is gone is unregistered behind this."""
        wanted = {instance.uuid: instance for instance in instances}
        for uuid, registrant in list(self._registrants.items()):
            now = wanted.get(uuid)
            if now is None or not _same(now, registrant.registration.instance):
                self._retire(uuid)
        self._instances = wanted
        for uuid, instance in wanted.items():
            if instance.username is not None and uuid not in self._registrants:
                self._registrants[uuid] = self._enlist(instance)
        self._tell()

    def instance_of(self, uri: str) -> UUID | None:
        """The instance to which a Request-URI was given as our Contact; None when it was to none of those there are."""
        try:
            line = SipUri.parse(uri).parameters.get("line")
            uuid = UUID(hex=line or "")
        except (SipError, ValueError):
            return None
        return uuid if uuid in self._registrants else None

    async def stop(self) -> None:
        """Take all registrations back, which takes as long as the slowest PBX may take."""
        for uuid in list(self._registrants):
            self._retire(uuid)
        if self._retiring:
            await asyncio.wait(self._retiring.values())

    def _enlist(self, instance: PbxInstance) -> Registrant:
        registration = Registration(instance, lambda: datetime.now(UTC), random.uniform)
        return Registrant(
            registration,
            self._sip,
            self._transports,
            place=self._place,
            counters=self._service.counters,
            told=self._tell,
            after=self._retiring.get(instance.uuid),
        )

    def _retire(self, uuid: UUID) -> None:
        task = asyncio.create_task(self._registrants.pop(uuid).retire())
        self._retiring[uuid] = task
        task.add_done_callback(lambda done: self._retired(uuid, done))

    def _retired(self, uuid: UUID, task: asyncio.Task[None]) -> None:
        # Another change may have come in between.
        if self._retiring.get(uuid) is task:
            del self._retiring[uuid]

    def _state(self, instance: PbxInstance) -> PbxState:
        registrant = self._registrants.get(instance.uuid)
        if registrant is None:
            return PbxState(instance.uuid, RegistrationState.not_registered, None, None, None)
        return registrant.registration.state

    def _tell(self) -> None:
        states = self.states
        if states != self._told:
            self._told = states
            self._service.registered(states)


def _same(one: PbxInstance, other: PbxInstance) -> bool:
    """Whether both register alike; a name is for people."""
    return replace(one, name=other.name) == other


def _verifying(config: TelephonyConfig) -> ssl.SSLContext:
    """Trusts the system's authorities, or those of `ca_file` alone; checks names."""
    try:
        return ssl.create_default_context(cafile=config.ca_file)
    except OSError as error:
        raise AgentError(
            f"the certificates in {config.ca_file} cannot be used ({error.strerror or error})",
            hint="VV_SIP_CA_FILE names a file with PEM certificates of authorities",
        ) from error
