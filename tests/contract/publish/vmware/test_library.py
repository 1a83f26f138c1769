"""Publishing in a content library, seen from vCenter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from pyVmomi import vim

from tests.doubles.vmware.server import VCenter
from vvctl.errors import VvctlError
from vvctl.publish.vmware import compare, library, removal
from vvctl.publish.vmware.archive import Archive
from vvctl.publish.vmware.connection import connected
from vvctl.publish.vmware.errors import (
    LeftBehind,
    MissingPrivileges,
    NameTaken,
    NotEnoughSpace,
    NotOurs,
    NotThere,
    VsphereError,
)
from vvctl.publish.vmware.library import Item, LibraryPublisher, find_item, find_library
from vvctl.publish.vmware.rest import Rest, session

from .conftest import CREDENTIALS, NAME, Start, quiet, server

LIBRARY = "appliances"
# Each call that changes something, and what it meets.
FAULTS = [
    (method, call, kind)
    for method, call in [
        ("POST content/library/item", 1),
        ("POST content/library/item/update-session", 1),
        ("POST content/library/item/updatesession/file/id?add", 2),
        ("UploadFile", 1),
        ("UploadFile", 4),
        ("POST content/library/item/update-session/id?complete", 1),
        ("PATCH content/library/item/id", 1),
    ]
    for kind in ("fail", "drop-after", "logout")
    # An upload is known by its address, not by its session.
    if (method, kind) != ("UploadFile", "logout")
]


@dataclass
class Librarian:
    """A release engineer with a content library."""

    archive: Archive
    vcenter: VCenter

    def rest(self) -> Iterator[Rest]:
        with connected(server(self.vcenter), CREDENTIALS) as connection, session(connection) as rest:
            yield rest

    def make_library(self, kind: str = "LOCAL") -> None:
        with connected(server(self.vcenter), CREDENTIALS) as connection:
            (datastore,) = connection.read(connection.find("DC0"), "datastore")["datastore"]
            backing = {"type": "DATASTORE", "datastore_id": datastore._moId}
            spec = {"name": LIBRARY, "type": kind, "storage_backings": [backing]}
            with session(connection) as rest:
                rest.call("POST", "local-library", {"create_spec": spec})

    def publish(self, name: str = NAME) -> str:
        with connected(server(self.vcenter), CREDENTIALS) as connection:
            return LibraryPublisher(connection, self.archive, LIBRARY, name).publish(quiet())

    def item(self, name: str = NAME) -> Item | None:
        for rest in self.rest():
            return find_item(rest, find_library(rest, LIBRARY), name)
        raise AssertionError

    def differences(self) -> list[str]:
        item = self.item()
        assert item is not None
        for rest in self.rest():
            return compare.library_item(rest, item, self.archive)
        raise AssertionError


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "_REMOVAL_PAUSES_S", (0, 0.1, 0.2, 0.5))


@pytest.fixture
def librarian(archive: Archive, vcenter: VCenter) -> Librarian:
    made = Librarian(archive, vcenter)
    made.make_library()
    return made


def test_every_file_of_the_ova_arrives_byte_by_byte(librarian: Librarian) -> None:
    identity = librarian.publish()
    stored = {path.name: path.read_bytes() for path in (librarian.vcenter.store / "library").iterdir()}
    assert stored == {name: b"".join(librarian.archive.blocks(name)) for name in librarian.archive.members}
    item = librarian.item()
    assert item is not None
    assert item.identifier == identity
    assert item.description == f"Voice Verify 0.1.0+0123456789ab, published by vvctl as {identity}"
    assert librarian.differences() == []


def test_names_files_that_are_not_those_of_the_ova(librarian: Librarian, monkeypatch: pytest.MonkeyPatch) -> None:
    librarian.publish()
    monkeypatch.setattr(Archive, "digest", lambda _archive, name: "0" * 64 if name.endswith(".mf") else "")
    assert any("another content" in line for line in librarian.differences())


@pytest.mark.parametrize(("method", "call", "kind"), FAULTS)
def test_leaves_nothing_half_made(librarian: Librarian, method: str, call: int, kind: str) -> None:
    librarian.vcenter.fail((method, call, kind))
    with pytest.raises(VvctlError) as caught:
        librarian.publish()
    assert not isinstance(caught.value, LeftBehind)
    assert librarian.vcenter.calls().count(method) >= call
    assert librarian.item() is None
    for rest in librarian.rest():
        assert not rest.call("GET", "library/item/update-session")
    librarian.publish()
    assert librarian.differences() == []


def test_says_what_it_had_to_leave_behind(librarian: Librarian) -> None:
    removal_fails = (("DELETE content/library/item/id", call, "fail") for call in range(1, 9))
    librarian.vcenter.fail(("UploadFile", 1, "fail"), *removal_fails)
    with pytest.raises(LeftBehind, match=f"half-made {NAME} in the library {LIBRARY}"):
        librarian.publish()


def test_refuses_a_name_that_is_taken_and_leaves_what_has_it(librarian: Librarian) -> None:
    librarian.publish()
    librarian.vcenter.fail()
    with pytest.raises(NameTaken, match=f"library {LIBRARY} holds a {NAME} already"):
        librarian.publish()
    assert not [call for call in librarian.vcenter.calls() if call.startswith(("Upload", "DELETE content"))]
    assert librarian.differences() == []


def test_refuses_a_library_without_space(archive: Archive, start: Start) -> None:
    librarian = Librarian(archive, start("-free", str(1 << 20)))
    librarian.make_library()
    with pytest.raises(NotEnoughSpace, match="LocalDS_0"):
        librarian.publish()


def test_missing_privilege_is_named_and_nothing_is_sent(archive: Archive, start: Start) -> None:
    librarian = Librarian(archive, start("-deny", "ContentLibrary.AddLibraryItem"))
    librarian.make_library()
    with pytest.raises(MissingPrivileges, match=r"ContentLibrary\.AddLibraryItem"):
        librarian.publish()
    assert "UploadFile" not in librarian.vcenter.calls()


def test_says_that_there_is_no_such_library(librarian: Librarian) -> None:
    for rest in librarian.rest():
        with pytest.raises(NotThere, match="no content library called nowhere"):
            find_library(rest, "nowhere")


def test_unpublishing_removes_the_item_and_nothing_else(librarian: Librarian) -> None:
    librarian.publish()
    librarian.publish("other")
    item = librarian.item()
    assert item is not None
    for rest in librarian.rest():
        removal.remove_library_item(rest, item)
    assert librarian.item() is None
    assert librarian.item("other") is not None


def test_unpublishing_refuses_a_copy(librarian: Librarian) -> None:
    original = librarian.publish()
    for rest in librarian.rest():
        library_id = find_library(rest, LIBRARY).identifier
        item = find_item(rest, find_library(rest, LIBRARY), NAME)
        assert item is not None
        spec = {"library_id": library_id, "name": "copy", "type": "ovf", "description": item.description}
        rest.call("POST", "library/item", {"create_spec": spec})
        copy = find_item(rest, find_library(rest, LIBRARY), "copy")
        assert copy is not None
        assert original in copy.description
        with pytest.raises(NotOurs, match="copy"):
            removal.remove_library_item(rest, copy)


def test_interrupt_takes_back_what_was_made(librarian: Librarian, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_rest: Rest, *_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Rest, "send", interrupted)
    with pytest.raises(KeyboardInterrupt):
        librarian.publish()
    assert librarian.item() is None


def test_does_not_touch_machines(librarian: Librarian) -> None:
    librarian.publish()
    with connected(server(librarian.vcenter), CREDENTIALS) as connection:
        assert connection.names(connection.content.rootFolder, [vim.VirtualMachine]) == []


def test_refuses_wrong_credentials(librarian: Librarian) -> None:
    librarian.vcenter.fail(("POST cis/session", 1, "fail"))
    with pytest.raises(VsphereError, match="logging in"):
        librarian.publish()
