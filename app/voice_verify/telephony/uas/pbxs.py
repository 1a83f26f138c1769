"""Which PBX instance a call comes from."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from uuid import UUID

from voice_verify.telephony.agent import PbxInstance
from voice_verify.telephony.sip import SipError, SipUri
from voice_verify.telephony.uas.source import IpAddress, Source, address

# Names may get other addresses.
_LOOK_UP_S = 300.0


class Pbxs:
    """The instances there are; `instance_of` knows which one was given a Request-URI as our Contact."""

    def __init__(self, instance_of: Callable[[str], UUID | None]) -> None:
        self._instance_of = instance_of
        self._instances: Sequence[PbxInstance] = ()
        self._addresses: dict[str, set[IpAddress]] = {}

    def configure(self, instances: Sequence[PbxInstance]) -> None:
        """These are all of them now."""
        self._instances = tuple(instances)
        for instance in instances:
            literal = address(instance.host)
            if literal is not None:
                self._addresses[instance.host] = {literal}

    async def look_up(self) -> None:
        """Find the addresses of all hosts, again and again; runs until it is cancelled."""
        while True:
            await self.refresh()
            await asyncio.sleep(_LOOK_UP_S)

    async def refresh(self) -> None:
        """Find the addresses of all hosts; one that cannot be found keeps those it had."""
        hosts = {instance.host for instance in self._instances}
        for host in hosts:
            try:
                found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_DGRAM)
            except (OSError, ValueError):
                # The second of names that cannot be one.
                continue
            self._addresses[host] = {known for one in found if (known := address(str(one[4][0]))) is not None}
        self._addresses = {host: known for host, known in self._addresses.items() if host in hosts}

    def known(self, source: Source) -> bool:
        """Whether this is the host of an instance: whoever set that up wants its calls."""
        return any(self._is_at(instance, source) for instance in self._instances)

    def of(self, request_uri: str, source: Source) -> UUID | None:
        """The instance that registered us with that URI, or else one on that host, best the one with that user."""
        registered = self._instance_of(request_uri)
        if registered is not None:
            return registered
        there = [instance for instance in self._instances if self._is_at(instance, source)]
        user = _user(request_uri)
        same = next((instance for instance in there if instance.username == user), None)
        return (same or there[0]).uuid if there else None

    def _is_at(self, instance: PbxInstance, source: Source) -> bool:
        return address(source.host) in self._addresses.get(instance.host, ())


def _user(uri: str) -> str | None:
    try:
        return SipUri.parse(uri).user
    except SipError:
        return None
