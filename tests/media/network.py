"""Hosts of their own on one bridge: a network namespace and an address for each peer.

A network takes the first free number N: bridge `vvN`, 198.18.N.0/24 (RFC 2544: no real network has these), this
machine as 198.18.N.1, and 198.19.N.0/24 behind one of its hosts. A lock says who has a number, and the kernel releases
it with its owner, so whatever still bears the name of a free number was left behind by a crash and is removed.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

NUMBERS = 16
CLONE_NEWNET = 0x40000000
LOCKS = Path("/run/lock")
NAMESPACES = Path("/run/netns")
LINKS = Path("/sys/class/net")

_libc = ctypes.CDLL(None, use_errno=True)


class NoNamespacesError(Exception):
    """This machine or this user cannot have network namespaces."""


class Network:
    """One bridge with its hosts, until `close`."""

    def __init__(self) -> None:
        if os.geteuid() != 0:
            raise NoNamespacesError("network namespaces need root: run these tests as root (sudo make test-media)")
        self._number, self._lock = _take_number()
        self._hosts: list[Host] = []
        self.address = f"198.18.{self._number}.1"
        self.subnet = f"198.18.{self._number}.0/24"
        bridge = f"vv{self._number}"
        try:
            # Left to itself it takes the lowest address of its hosts. With the next host that may be another one, and
            # the others send to the old one, to nobody, for as long as they remember it: up to half a minute.
            _ip("link", "add", bridge, "address", f"02:00:00:00:00:{self._number:02x}", "type", "bridge")
            _ip("address", "add", f"{self.address}/24", "dev", bridge)
            _ip("link", "set", bridge, "up")
        except NoNamespacesError:
            self.close()
            raise

    def host(self, name: str) -> Host:
        """A new host on the bridge."""
        host = Host(name, self._number, len(self._hosts))
        self._hosts.append(host)
        return host

    def close(self) -> None:
        """End what still runs on the hosts, and remove them."""
        _sweep(self._number)
        os.close(self._lock)

    def __enter__(self) -> Network:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Host:
    """A peer's machine: a namespace with a loopback and one address on the bridge."""

    def __init__(self, name: str, network: int, index: int) -> None:
        self.name = name
        self._network = network
        self.address = f"198.18.{network}.{index + 10}"
        self.namespace = f"vv{network}-{name}"
        link = f"vv{network}h{index}"
        _ip("netns", "add", self.namespace)
        _ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", self.namespace)
        _ip("link", "set", link, "master", f"vv{network}", "up")
        inside = ("-n", self.namespace)
        _ip(*inside, "link", "set", "lo", "up")
        _ip(*inside, "address", "add", f"{self.address}/24", "dev", "eth0")
        _ip(*inside, "link", "set", "eth0", "up")
        _ip(*inside, "route", "add", "default", "via", f"198.18.{network}.1")

    def command(self, *command: str) -> list[str]:
        """The command that runs `command` on this host."""
        return ["ip", "netns", "exec", self.namespace, *command]

    def popen(self, command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
        """Start a program on this host; the process identity is the program's own."""
        return subprocess.Popen(self.command(*command), **options)

    def unplug(self) -> None:
        """Take its cable: nothing reaches it, and nobody is told."""
        _ip("-n", self.namespace, "link", "set", "eth0", "down")

    def network_behind(self) -> list[str]:
        """The 256 addresses of a network that this machine reaches through the host; one host may have it."""
        subnet = f"198.19.{self._network}.0/24"
        _ip("-n", self.namespace, "route", "add", "local", subnet, "dev", "lo")
        _ip("route", "add", subnet, "via", self.address)
        return [str(address) for address in IPv4Network(subnet)]

    def socket(
        self, kind: socket.SocketKind = socket.SOCK_DGRAM, port: int = 0, *, protocol: int = 0, address: str = ""
    ) -> socket.socket:
        """A socket of this process that is bound on this host, to its own address unless told otherwise."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(NAMESPACES / self.namespace, os.O_RDONLY)
        try:
            _enter(there)
            try:
                made = socket.socket(socket.AF_INET, kind, protocol)
            finally:
                _enter(home)
        finally:
            os.close(home)
            os.close(there)
        made.bind((address or self.address, port))
        return made


def _take_number() -> tuple[int, int]:
    """The number of a new network and its lock; removes what crashed owners of any free number left."""
    taken: tuple[int, int] | None = None
    for number in range(NUMBERS):
        lock = os.open(LOCKS / f"vv-network-{number}", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        _sweep(number)
        if taken is None:
            taken = number, lock
        else:
            os.close(lock)
    if taken is None:
        raise NoNamespacesError(f"all {NUMBERS} test networks are in use")
    return taken


def _sweep(number: int) -> None:
    """Remove all that bears that number; what runs in its namespaces is ended with them."""
    for namespace in NAMESPACES.glob(f"vv{number}-*") if NAMESPACES.is_dir() else ():
        while pids := _ip("netns", "pids", namespace.name).split():
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            # The kernel takes a moment to end them.
            time.sleep(0.01)
        _ip("netns", "delete", namespace.name)
    # A namespace takes its links along only when its last process is gone.
    links = (link.name for link in LINKS.glob(f"vv{number}h*"))
    for link in [*links, *(link.name for link in LINKS.glob(f"vv{number}"))]:
        with suppress(NoNamespacesError):
            _ip("link", "delete", link)


def _enter(namespace: int) -> None:
    """Move the calling thread into a network namespace."""
    if _libc.setns(namespace, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def _ip(*arguments: str) -> str:
    try:
        done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise NoNamespacesError("ip is not installed: make deps-test installs it") from None
    if done.returncode != 0:
        raise NoNamespacesError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout
