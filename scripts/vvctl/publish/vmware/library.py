"""Publish the OVA in a content library: its deployment options and licence agreement stay, unlike in a template."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from pyVmomi import vim

from vvctl.errors import VvctlError
from vvctl.image.report import size_text
from vvctl.publish.display import Display
from vvctl.publish.vmware import preflight
from vvctl.publish.vmware.archive import Archive, Member
from vvctl.publish.vmware.connection import UPLOAD_TIMEOUT_S, Connection
from vvctl.publish.vmware.description import Description
from vvctl.publish.vmware.errors import UNREACHABLE, LeftBehind, NameTaken, NotThere, VsphereError, explained
from vvctl.publish.vmware.lease import Transfer, repeated
from vvctl.publish.vmware.rest import Rest, session

# vCenter reads the files once more when all have arrived.
_DONE_WITHIN_S = 1800
_POLL_S = 0.5
# A session of an update ends after some minutes without a sign.
_KEEP_ALIVE_S = 60.0
_MADE = "published by vvctl as "
_REMOVAL_PAUSES_S = (0, 1, 3, 6)


@dataclass(frozen=True)
class Library:
    """A library that takes files, and the datastore behind it (None: another kind of storage)."""

    identifier: str
    name: str
    datastore: str | None


@dataclass(frozen=True)
class Item:
    identifier: str
    name: str
    description: str


def find_library(rest: Rest, name: str) -> Library:
    """The local library called `name`; raises NotThere when there is none, or one that follows another."""
    found = rest.call("POST", "library", {"spec": {"name": name}}, **{"~action": "find"}) or []
    if len(found) != 1:
        raise NotThere(f"there {'are several libraries' if found else 'is no content library'} called {name}")
    content = rest.call("GET", f"library/{Rest.identity(found[0])}")
    if content["type"] != "LOCAL":
        raise NotThere(f"the library {name} follows another one", hint="publish in the library that it follows")
    storage = content.get("storage_backings") or [{}]
    return Library(found[0], name, storage[0].get("datastore_id"))


def find_item(rest: Rest, library: Library, name: str) -> Item | None:
    """The item called `name`, if the library has one."""
    spec = {"library_id": library.identifier, "name": name}
    found = rest.call("POST", "library/item", {"spec": spec}, **{"~action": "find"}) or []
    if not found:
        return None
    content = rest.call("GET", f"library/item/{Rest.identity(found[0])}")
    return Item(found[0], content["name"], content.get("description") or "")


def files(rest: Rest, item: Item) -> list[dict[str, Any]]:
    """What vCenter holds of an item: name, size in bytes and checksum_info of each file."""
    return rest.call("GET", "library/item/file", library_item_id=item.identifier) or []


def mark(description: Description, identifier: str) -> str:
    """The notes of a finished item."""
    return f"{description.product} {description.version}, {_MADE}{identifier}"


def is_ours(item: Item) -> bool:
    """Whether vvctl made the item: a copy of it has the same notes and another identity."""
    return item.description.endswith(f"{_MADE}{item.identifier}")


class LibraryPublisher:
    """Puts one OVA into one library."""

    def __init__(self, connection: Connection, archive: Archive, library: str, name: str) -> None:
        self._connection = connection
        self._archive = archive
        self._library = library
        self._name = name
        self._description = Description.read(archive.descriptor)
        # On an item until it is finished: tells this run's from another's.
        self._note = f"vvctl is publishing this: {uuid.uuid4()}"
        self._made = ""

    def check(self) -> str:
        """Raise the VsphereError for what would fail; else say what would be done."""
        with explained("checking"), session(self._connection) as rest:
            self._check(rest)
        return f"{size_text(sum(member.size for member in self._archive.members.values()))} to send"

    def publish(self, display: Display) -> str:
        """Upload every file of the OVA; returns the identity of the new item.

        Whatever goes wrong, Ctrl-C included, nothing of this run stays. Raises LeftBehind when that cannot be had, and
        else the error that stopped it.
        """
        with explained("publishing in the library"), session(self._connection) as rest:
            library = self._check(rest)
            with self._taken_back_on_failure(library, display):
                spec = {"library_id": library.identifier, "name": self._name, "type": "ovf", "description": self._note}
                self._made = str(rest.call("POST", "library/item", {"create_spec": spec}))
                self._upload(rest, self._made, display)
                done = {"update_spec": {"description": mark(self._description, self._made)}}
                rest.call("PATCH", f"library/item/{Rest.identity(self._made)}", done)
        return self._made

    def _check(self, rest: Rest) -> Library:
        library = find_library(rest, self._library)
        if find_item(rest, library, self._name) is not None:
            raise NameTaken(
                f"the library {library.name} holds a {self._name} already",
                hint="choose another --name, or unpublish it first",
            )
        if library.datastore:
            datastore = vim.Datastore(library.datastore, self._connection.stub)
            needed = sum(member.size for member in self._archive.members.values())
            preflight.check_space(self._connection, datastore, needed)
        return library

    def _upload(self, rest: Rest, item: str, display: Display) -> None:
        created = rest.call("POST", "library/item/update-session", {"create_spec": {"library_item_id": item}})
        update = f"library/item/update-session/{Rest.identity(created)}"
        members = list(self._archive.members.values())
        total = sum(member.size for member in members)
        with display.transfer("Sending the files", total) as meter:
            transfer = Transfer(total, meter)
            sign = {"client_progress": 0}
            with repeated(_KEEP_ALIVE_S, lambda: rest.call("POST", update, sign, **{"~action": "keep-alive"})):
                for member in members:
                    self._send(rest, str(created), member, transfer)
        rest.call("POST", update, **{"~action": "complete"})
        with display.waiting("vCenter checks the files"):
            self._wait(rest, update)

    def _send(self, rest: Rest, update: str, member: Member, transfer: Transfer) -> None:
        spec = {
            "name": member.name,
            "source_type": "PUSH",
            "size": member.size,
            "checksum_info": {"algorithm": "SHA256", "checksum": self._archive.digest(member.name)},
        }
        path = f"library/item/updatesession/file/{Rest.identity(update)}"
        answer = rest.call("POST", path, {"file_spec": spec}, **{"~action": "add"})
        content = transfer.follow(self._archive.blocks(member.name))
        rest.send(answer["upload_endpoint"]["uri"], content, member.size, UPLOAD_TIMEOUT_S)

    def _wait(self, rest: Rest, update: str) -> None:
        deadline = time.monotonic() + _DONE_WITHIN_S
        while (found := rest.call("GET", update))["state"] != "DONE":
            if found["state"] != "ACTIVE":
                said = (found.get("error_message") or {}).get("default_message", found["state"])
                raise VsphereError(f"vCenter does not take the files: {said}")
            if time.monotonic() > deadline:
                raise VsphereError(f"vCenter did not take the files within {_DONE_WITHIN_S} s")
            time.sleep(_POLL_S)

    @contextmanager
    def _taken_back_on_failure(self, library: Library, display: Display) -> Iterator[None]:
        try:
            yield
        except BaseException:
            with display.waiting("Taking back what was made"):
                self._take_back(library)
            raise

    def _take_back(self, library: Library) -> None:
        """Remove the item of this run, if there is one; raises LeftBehind when it is still there at the end."""
        problem: Exception | None = None
        for pause in _REMOVAL_PAUSES_S:
            time.sleep(pause)
            try:
                # The session of before may be what failed.
                with session(self._connection) as rest:
                    item = find_item(rest, library, self._name)
                    if item is not None and (item.identifier == self._made or item.description == self._note):
                        remove_item(rest, item)
            except (VvctlError, *UNREACHABLE) as error:
                problem = error
            else:
                return
        raise LeftBehind(
            f"the half-made {self._name} in the library {library.name} could not be removed: {problem}",
            hint="remove it in the vSphere client",
        ) from problem


def remove_item(rest: Rest, item: Item) -> None:
    """Delete an item with all its files; updates of it that still go on are ended first."""
    for update in rest.call("GET", "library/item/update-session") or []:
        path = f"library/item/update-session/{Rest.identity(update)}"
        with suppress(VsphereError):
            if rest.call("GET", path).get("library_item_id") == item.identifier:
                rest.call("DELETE", path)
    rest.call("DELETE", f"library/item/{Rest.identity(item.identifier)}")
