"""Calls to a vCenter that outlive its sessions, and reads in pages."""

from __future__ import annotations

import atexit
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any, TypeVar

from pyVmomi import vim, vmodl

from vvctl.publish.vmware.connection import Connection, Credentials, Server, connected
from vvctl.upgrade.vmware.errors import as_provider_errors

T = TypeVar("T")
_Collector = vmodl.query.PropertyCollector
Properties = dict[str, Any]

_PAGE = 100
# A task is asked for its end often at first, then once a second: putting a snapshot back into its disk may take hours.
_FIRST_POLL_S, _LONGEST_POLL_S = 0.02, 1.0


class Session:
    """A vCenter. Every method raises ProviderError; nothing is sent before the first call."""

    def __init__(self, server: Server, credentials: Credentials) -> None:
        self._server = server
        self._credentials = credentials
        self._connection: Connection | None = None
        self._opened = ExitStack()

    def call(self, doing: str, action: Callable[[Connection], T]) -> T:
        """One call; when the session had ended, nothing was done, and it is made again in another one."""
        with as_provider_errors(doing):
            connection = self._open()
            try:
                return action(connection)
            except vim.fault.NotAuthenticated:
                connection.renew()
                return action(connection)

    def object(self, kind: type, moid: str) -> Any:
        """A managed object; whether it exists is not known."""
        return self.call("logging in", lambda connection: kind(moid, connection.stub))

    def read(self, target: Any, *paths: str) -> Properties:
        """Leaf properties of one object, without those that it does not have."""
        return self.call("reading", lambda connection: connection.read(target, *paths))

    def collect(self, objects: Sequence[Any], kind: type, paths: Iterable[str]) -> list[tuple[Any, Properties]]:
        """As `collected`."""
        return self.call("looking at the machines", lambda connection: collected(connection, objects, kind, paths))

    def task(self, doing: str, begin: Callable[[Connection], Any]) -> Any:
        """Begin a task and wait for its end; its result."""
        task = self.call(doing, begin)
        pause = _FIRST_POLL_S
        while True:
            found = self.read(task, "info.state", "info.error", "info.result")
            if found["info.state"] == vim.TaskInfo.State.success:
                return found.get("info.result")
            if found["info.state"] == vim.TaskInfo.State.error:
                with as_provider_errors(doing):
                    raise found["info.error"]
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_POLL_S)

    def _open(self) -> Connection:
        if self._connection is None:
            self._connection = self._opened.enter_context(connected(self._server, self._credentials))
            atexit.register(self._opened.close)
        return self._connection


def collected(
    connection: Connection, objects: Sequence[Any], kind: type, paths: Iterable[str]
) -> list[tuple[Any, Properties]]:
    """Leaf properties of all objects of `kind` that are selected, in as many answers as vCenter makes of it.

    What is gone is left out, and so are properties that an object does not have.
    """
    wanted = _Collector.FilterSpec(
        objectSet=list(objects),
        propSet=[_Collector.PropertySpec(type=kind, pathSet=list(paths))],
        reportMissingObjectsInResults=True,
    )
    found = {}
    for entry in _pages(connection.content.propertyCollector, wanted):
        found[entry.obj._moId] = (entry.obj, {item.name: item.val for item in entry.propSet})
    return list(found.values())


def one(target: Any) -> Any:
    """Selects one object."""
    return _Collector.ObjectSpec(obj=target)


def all_in(target: Any, path: str) -> Any:
    """Selects the objects that a property of another one names."""
    step = _Collector.TraversalSpec(type=type(target), path=path, skip=False)
    return _Collector.ObjectSpec(obj=target, skip=True, selectSet=[step])


def _pages(collector: Any, wanted: Any) -> Iterator[Any]:
    answer = collector.RetrievePropertiesEx([wanted], _Collector.RetrieveOptions(maxObjects=_PAGE))
    while answer is not None:
        yield from answer.objects
        answer = collector.ContinueRetrievePropertiesEx(answer.token) if answer.token else None
