"""An import that goes on in vCenter: HttpNfcLease of the vSphere API.

vCenter makes the machine, hands out an address for each disk, and takes the machine back when the import shows no
progress for some minutes.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import httpx
from pyVmomi import vim, vmodl

from vvctl.errors import VvctlError
from vvctl.publish.display import Meter
from vvctl.publish.vmware import trust
from vvctl.publish.vmware.archive import Archive
from vvctl.publish.vmware.connection import UPLOAD_TIMEOUT_S, Connection
from vvctl.publish.vmware.errors import UNREACHABLE, VsphereError, reason

# What ESXi expects for a disk that it converts while it arrives (ovftool and govc send the same).
_STREAM = "application/x-vnd.vmware-streamVmdk"
_POLL_S = 0.1
# vCenter prepares the machine on a host that may be busy.
_READY_WITHIN_S = 300
# Shown to vCenter that often: far below any lease's time.
KEEP_ALIVE_S = 5.0


class Transfer:
    """How much of all disks has been sent; the display and the keep-alive both look at it."""

    def __init__(self, total: int, meter: Meter) -> None:
        self._total = total
        self._meter = meter
        self._sent = 0

    def follow(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """Pass blocks on and count them."""
        for block in blocks:
            yield block
            self._sent += len(block)
            self._meter(len(block))

    @property
    def percent(self) -> int:
        return self._sent * 100 // self._total


class Lease:
    """One import: `machine` is what it makes."""

    def __init__(self, connection: Connection, lease: Any) -> None:
        self._connection = connection
        self._lease = lease
        self.machine: Any = None

    def wait_until_ready(self) -> None:
        """Raises VsphereError when the import cannot begin."""
        deadline = time.monotonic() + _READY_WITHIN_S
        while True:
            found = self._connection.read(self._lease, "state", "error", "info.entity")
            self.machine = found.get("info.entity") or self.machine
            if found["state"] == vim.HttpNfcLease.State.ready:
                return
            if found["state"] != vim.HttpNfcLease.State.initializing:
                raise VsphereError(f"vCenter gave the import up: {reason(found.get('error'))}")
            if time.monotonic() > deadline:
                raise VsphereError(f"vCenter did not begin the import within {_READY_WITHIN_S} s")
            time.sleep(_POLL_S)

    def upload(self, archive: Archive, items: list[Any], transfer: Transfer) -> None:
        """Send every file that the import asks for; raises VsphereError or an error of httpx."""
        devices = self._connection.read(self._lease, "info.deviceUrl")["info.deviceUrl"]
        addresses = {device.importKey: device for device in devices}
        with repeated(KEEP_ALIVE_S, lambda: self._lease.HttpNfcLeaseProgress(min(transfer.percent, 99))):
            for item in items:
                device = addresses[item.deviceId]
                self._send(archive, item.path, device, transfer)
        self._lease.HttpNfcLeaseProgress(100)

    def _send(self, archive: Archive, name: str, device: Any, transfer: Transfer) -> None:
        server = self._connection.server
        # An asterisk stands for the server that one talks to already.
        address = str(device.url).replace("*", f"{server.host}:{server.port}")
        with self._connection.http(self._context(address, device.sslThumbprint or "")) as client:
            answer = client.post(
                address,
                content=transfer.follow(archive.blocks(name)),
                headers={"Content-Type": _STREAM, "Content-Length": str(archive.members[name].size)},
                timeout=UPLOAD_TIMEOUT_S,
            )
        try:
            answer.raise_for_status()
        except httpx.HTTPStatusError as error:
            said = f"{answer.status_code} {answer.text[:200]}"
            raise VsphereError(f"{urlsplit(address).hostname} refused {name}: {said}") from error

    def _context(self, address: str, thumbprint: str) -> ssl.SSLContext:
        """A host's certificate is vouched for by vCenter, whose own has been verified."""
        parts = urlsplit(address)
        if parts.hostname == self._connection.server.host or not thumbprint:
            return self._connection.context
        return trust.by_thumbprint(parts.hostname or "", parts.port or 443, thumbprint)

    def complete(self) -> None:
        self._lease.HttpNfcLeaseComplete()

    def abort(self) -> None:
        """End the import; whether vCenter removed the machine is for the caller to see."""
        reason = vmodl.fault.RequestCanceled(msg="vvctl publish was stopped")
        self._lease.HttpNfcLeaseAbort(reason)


@contextmanager
def repeated(interval_s: float, action: Callable[[], None]) -> Iterator[None]:
    """Do `action` every `interval_s` beside the block. One that fails is no reason to stop: the upload itself tells."""
    over = threading.Event()

    def repeat() -> None:
        while not over.wait(interval_s):
            with suppress(VvctlError, vmodl.MethodFault, *UNREACHABLE):
                action()

    thread = threading.Thread(target=repeat, name="lease-keep-alive", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
