"""The network card of a machine: behind QEMU's user-mode network, or on a tap device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class UserNic:
    """QEMU's user-mode network (slirp): the guest gets an address by DHCP and reaches out; in come only forwards."""

    # Port on 127.0.0.1 of the host -> TCP port of the guest.
    forwards: Mapping[int, int] = field(default_factory=dict)
    # QEMU's own choice.
    mac: str = "52:54:00:12:34:56"

    def prefix(self) -> Sequence[str]:
        return ()

    def backend(self) -> str:
        return "user," + "".join(f"hostfwd=tcp:127.0.0.1:{host}-:{guest}," for host, guest in self.forwards.items())


@dataclass(frozen=True)
class TapNic:
    """A tap device inside a network namespace."""

    namespace: str
    device: str
    mac: str

    def prefix(self) -> Sequence[str]:
        """What the command of QEMU starts with, so that it finds the device."""
        return ("ip", "netns", "exec", self.namespace)

    def backend(self) -> str:
        return f"tap,ifname={self.device},script=no,downscript=no,"


Nic = UserNic | TapNic
