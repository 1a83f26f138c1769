"""What can be known to be wrong before a byte is sent."""

from __future__ import annotations

from typing import Any

from vvctl.image.report import size_text
from vvctl.publish.vmware import privileges
from vvctl.publish.vmware.connection import Connection
from vvctl.publish.vmware.errors import MissingPrivileges, NameTaken, NotEnoughSpace
from vvctl.publish.vmware.place import Place, machine


def check(connection: Connection, place: Place, name: str, needed: int) -> None:
    """Check rights, the name, and `needed` bytes on the datastore.

    Raises MissingPrivileges with all of them, NameTaken or NotEnoughSpace.
    """
    check_privileges(connection, place)
    if machine(connection, place.folder_path, name) is not None:
        raise NameTaken(
            f"{place.folder_path} holds a {name} already", hint="choose another --name, or unpublish it first"
        )
    check_space(connection, place.datastore, needed)


def check_privileges(connection: Connection, place: Place) -> None:
    session = connection.read(connection.content.sessionManager, "currentSession.key")["currentSession.key"]
    missing = []
    for entity, needed in (
        (place.pool, privileges.POOL),
        (place.folder, privileges.FOLDER),
        (place.datastore, privileges.DATASTORE),
        (place.network, privileges.NETWORK),
    ):
        name = connection.read(entity, "name")["name"]
        (found,) = connection.content.authorizationManager.HasPrivilegeOnEntities([entity], session, list(needed))
        missing += [f"{entry.privId} on {name}" for entry in found.privAvailability if not entry.isGranted]
    if missing:
        raise MissingPrivileges(
            f"{connection.credentials.user} lacks {', '.join(missing)}",
            hint="docs/install-vmware.md lists the privileges of a role that may publish",
        )


def check_space(connection: Connection, datastore: Any, needed: int) -> None:
    """Raise NotEnoughSpace when the datastore cannot take `needed` bytes, or takes nothing now."""
    found = connection.read(
        datastore, "name", "summary.accessible", "summary.maintenanceMode", "summary.freeSpace", "summary.capacity"
    )
    name = found["name"]
    if not found["summary.accessible"] or found.get("summary.maintenanceMode", "normal") != "normal":
        raise NotEnoughSpace(f"the datastore {name} cannot be used now", hint="choose another --datastore")
    if found["summary.freeSpace"] < needed:
        raise NotEnoughSpace(
            f"the datastore {name} has {size_text(found['summary.freeSpace'])} free, {size_text(needed)} are needed",
            hint="choose another --datastore, or import without --thick",
        )
