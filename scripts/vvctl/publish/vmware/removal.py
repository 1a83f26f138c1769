"""Remove what vvctl published, and nothing else."""

from __future__ import annotations

from typing import Any

from vvctl.publish.vmware.connection import Connection
from vvctl.publish.vmware.errors import NotOurs, explained
from vvctl.publish.vmware.library import Item, is_ours, remove_item
from vvctl.publish.vmware.rest import Rest
from vvctl.publish.vmware.template import mark_of


def check_template(connection: Connection, machine: Any, name: str) -> None:
    """Raise NotOurs when `machine` is anything but a finished template that vvctl made: not a clone, not in use."""
    with explained("reading the template"):
        found = connection.read(machine, "config.template", "config.instanceUuid")
        mark = mark_of(connection, machine)
    if not found["config.template"]:
        raise NotOurs(f"{name} is a machine, no template", hint="remove it in the vSphere client if it is not needed")
    if mark != found["config.instanceUuid"]:
        raise NotOurs(
            f"{name} was not made by vvctl, or is a copy of what was",
            hint="remove it in the vSphere client if it is not needed",
        )


def remove_template(connection: Connection, machine: Any, name: str) -> None:
    """Destroy the template with its disks; what it is, is checked again before."""
    check_template(connection, machine, name)
    with explained("removing the template"):
        connection.wait(machine.Destroy_Task())


def check_item(item: Item) -> None:
    """Raise NotOurs when the item was made by somebody else, or is a copy."""
    if not is_ours(item):
        raise NotOurs(
            f"the item {item.name} was not made by vvctl, or is a copy of what was",
            hint="remove it in the vSphere client if it is not needed",
        )


def remove_library_item(rest: Rest, item: Item) -> None:
    check_item(item)
    with explained("removing the item"):
        remove_item(rest, item)
