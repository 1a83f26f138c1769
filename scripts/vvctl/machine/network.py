"""A network of its own for one guest, from which it can be looked at as from outside."""

from __future__ import annotations

import fcntl
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from vvctl.machine.errors import MachineError, run
from vvctl.machine.nic import TapNic

# TEST-NET-1 of RFC 5737: nothing real is ever there. A subnet of 16 addresses for each guest.
_SUBNETS = list(IPv4Network("192.0.2.0/24").subnets(new_prefix=28))
_LOCKS = Path("/run/lock")


class Network:
    """A network namespace with a bridge that joins the guest's tap device and a veth pair to this process.

    Addresses: `.1` of the subnet is the bridge (the guest's gateway), `.2` this process, `.3` the guest.
    Nothing is routed further. A lock that the kernel drops with the process marks a subnet as taken, so what a killed
    run left behind is recognised and removed.
    """

    def __init__(self) -> None:
        self._lock: IO[bytes] | None = None
        self.namespace = ""
        self._subnet = _SUBNETS[0]

    def __enter__(self) -> Self:
        """Make it. Needs root. Raises MachineError when every subnet is taken."""
        with ExitStack() as undo:
            undo.callback(self._remove)
            self._claim()
            self._remove_devices()
            self._build()
            undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    @property
    def guest(self) -> IPv4Interface:
        return self._address(3)

    @property
    def gateway(self) -> str:
        return str(self._address(1).ip)

    @property
    def host(self) -> str:
        """From where this process reaches the guest."""
        return str(self._address(2).ip)

    @property
    def nic(self) -> TapNic:
        # Locally administered; every machine has one of its own, as hypervisors see to it.
        return TapNic(self.namespace, "tap0", mac=f"52:54:00:00:02:{int(self.guest.ip) & 0xFF:02x}")

    def run(self, command: Sequence[str], *, package: str) -> str:
        """Standard output of `command`, run inside the namespace; raises CommandFailed."""
        return run(["ip", "netns", "exec", self.namespace, *command], package=package)

    def _address(self, host: int) -> IPv4Interface:
        return IPv4Interface((self._subnet[host], self._subnet.prefixlen))

    def _claim(self) -> None:
        _LOCKS.mkdir(parents=True, exist_ok=True)
        for index, subnet in enumerate(_SUBNETS):
            lock = (_LOCKS / f"vv-network-{index}").open("wb")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.close()
                continue
            self._lock, self._subnet, self.namespace = lock, subnet, f"vv-guest-{index}"
            return
        raise MachineError("every test network is taken", hint="other runs on this host hold them; wait for their end")

    def _build(self) -> None:
        name, inside, outside = self.namespace, "uplink", self.namespace
        _ip("netns", "add", name)
        _ip("link", "add", outside, "type", "veth", "peer", "name", inside, "netns", name)
        _ip("-n", name, "link", "add", "bridge0", "type", "bridge", "forward_delay", "0")
        _ip("-n", name, "tuntap", "add", "tap0", "mode", "tap")
        for device in (inside, "tap0"):
            _ip("-n", name, "link", "set", device, "master", "bridge0", "up")
        for device in ("lo", "bridge0"):
            _ip("-n", name, "link", "set", device, "up")
        _ip("-n", name, "address", "add", str(self._address(1)), "dev", "bridge0")
        _ip("address", "add", str(self._address(2)), "dev", outside)
        _ip("link", "set", outside, "up")

    def _remove(self) -> None:
        self._remove_devices()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _remove_devices(self) -> None:
        """Remove the namespace, and with it what is inside and the veth pair; it need not exist."""
        for command in (["ip", "netns", "delete", self.namespace], ["ip", "link", "delete", self.namespace]):
            subprocess.run(command, capture_output=True, check=False)


def _ip(*arguments: str) -> None:
    run(["ip", *arguments], package="iproute2")
