"""A session with a vCenter."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from pyVim.connect import Disconnect, SmartConnect
from pyVim.task import WaitForTask
from pyVmomi import vmodl

from vvctl.publish.vmware import trust
from vvctl.publish.vmware.errors import NotThere, explained

_Collector = vmodl.query.PropertyCollector
# For a call; a host answers an upload only when it has written the disk.
CALL_TIMEOUT_S, UPLOAD_TIMEOUT_S = 120, 600


@dataclass(frozen=True)
class Server:
    """A vCenter and how it is known."""

    host: str
    port: int = 443
    ca_file: Path | None = None
    thumbprint: str = ""

    def context(self) -> ssl.SSLContext:
        """What every connection to it is verified with."""
        if self.thumbprint:
            return trust.by_thumbprint(self.host, self.port, self.thumbprint)
        return trust.by_authority(self.ca_file)


@dataclass(frozen=True)
class Credentials:
    user: str
    password: str = field(repr=False)


class Connection:
    """An open session; `content` is the root of the API."""

    def __init__(self, server: Server, credentials: Credentials, context: ssl.SSLContext, instance: Any) -> None:
        self.server = server
        self.credentials = credentials
        self.context = context
        self.content: Any = instance.RetrieveContent()
        self.stub: Any = instance._stub

    def renew(self) -> None:
        """Log in again, for what must still be done after the session has ended."""
        with suppress(vmodl.MethodFault):
            self.content.sessionManager.Logout()
        self.content.sessionManager.Login(self.credentials.user, self.credentials.password, None)

    def read(self, target: Any, *paths: str) -> dict[str, Any]:
        """Leaf properties of one managed object; what it does not have is left out.

        Raises vmodl.fault.ManagedObjectNotFound when it is gone.
        """
        wanted = _Collector.FilterSpec(
            objectSet=[_Collector.ObjectSpec(obj=target)],
            propSet=[_Collector.PropertySpec(type=type(target), pathSet=list(paths))],
        )
        found = self.content.propertyCollector.RetrieveContents([wanted])
        return {entry.name: entry.val for item in found for entry in item.propSet}

    def find(self, path: str) -> Any:
        """The object at an inventory path such as `DC0/vm/templates`, or None."""
        return self.content.searchIndex.FindByInventoryPath(path)

    def names(self, root: Any, kinds: Sequence[type]) -> list[str]:
        """Names of all objects of these kinds below `root`."""
        view = self.content.viewManager.CreateContainerView(root, list(kinds), True)
        try:
            return sorted(self.read(item, "name")["name"] for item in self.read(view, "view").get("view", []))
        finally:
            view.DestroyView()

    def only(self, root: Any, kinds: Sequence[type], option: str) -> str:
        """The name of the only object of these kinds; raises NotThere that lists the choice when there are more."""
        names = self.names(root, kinds)
        if len(names) != 1:
            choice = f"there are {', '.join(names)}" if names else "there is none"
            raise NotThere(f"{option} must be given: {choice}")
        return names[0]

    def wait(self, task: Any) -> Any:
        """The result of a task; raises the fault that it ended with."""
        WaitForTask(task, si=None, pc=self.content.propertyCollector)
        return self.read(task, "info.result").get("info.result")

    def http(self, context: ssl.SSLContext | None = None) -> httpx.Client:
        """A client for what is not SOAP, verified like the session."""
        return httpx.Client(verify=context or self.context, timeout=CALL_TIMEOUT_S, trust_env=False)


@contextmanager
def connected(server: Server, credentials: Credentials) -> Iterator[Connection]:
    """Log in for the time of the block.

    Raises Untrusted, LoginRefused or VsphereError, and nothing was sent before the server is known.
    """
    with explained(f"logging in to {server.host}"):
        context = server.context()
        instance = SmartConnect(
            host=server.host,
            port=server.port,
            user=credentials.user,
            pwd=credentials.password,
            sslContext=context,
            httpConnectionTimeout=CALL_TIMEOUT_S,
        )
        connection = Connection(server, credentials, context, instance)
    try:
        yield connection
    finally:
        # The session may have ended, or the network with it: vCenter forgets it by itself.
        with suppress(vmodl.MethodFault, OSError):
            Disconnect(instance)
