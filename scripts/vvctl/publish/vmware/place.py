"""Where in the inventory a template goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from pyVmomi import vim

from vvctl.publish.vmware.connection import Connection
from vvctl.publish.vmware.errors import NotThere


@dataclass(frozen=True)
class Where:
    """Names as a person gives them; what is empty must be the only one of its kind."""

    datacenter: str = ""
    # Below the datacenter's folder of machines.
    folder: str = ""
    # A cluster or host, a host of a cluster (`Cluster/host`), or a resource pool (`Cluster/Resources/Pool`).
    compute: str = ""
    datastore: str = ""
    network: str = ""


@dataclass(frozen=True)
class Place:
    """The same as objects of vCenter."""

    folder: Any
    folder_path: str
    pool: Any
    # None: vCenter chooses, which a cluster without DRS cannot.
    host: Any
    datastore: Any
    network: Any


def folder(connection: Connection, where: Where) -> tuple[str, Any, str]:
    """Name of the datacenter, the folder of machines and its path; raises NotThere."""
    root = connection.content.rootFolder
    datacenter = where.datacenter or connection.only(root, [vim.Datacenter], "--datacenter")
    path = "/".join(filter(None, [datacenter, "vm", where.folder.strip("/")]))
    found = _find(connection, path, (vim.Folder,), "--folder")
    return datacenter, found, path


def resolve(connection: Connection, where: Where) -> Place:
    """Look everything up; raises NotThere for what does not exist or is not unique."""
    datacenter, machines, path = folder(connection, where)
    root = connection.find(datacenter)

    def child(kind: str, given: str, kinds: tuple[type, ...], option: str) -> Any:
        name = given.strip("/") or _escaped(connection.only(root, kinds[:1], option))
        return _find(connection, f"{datacenter}/{kind}/{name}", kinds, option)

    kinds = (vim.ComputeResource, vim.ResourcePool, vim.HostSystem)
    compute, host = child("host", where.compute, kinds, "--compute"), None
    if isinstance(compute, vim.HostSystem):
        host, compute = compute, connection.read(compute, "parent")["parent"]
    if not isinstance(compute, vim.ResourcePool):
        compute = connection.read(compute, "resourcePool")["resourcePool"]
    return Place(
        folder=machines,
        folder_path=path,
        pool=compute,
        host=host,
        datastore=child("datastore", where.datastore, (vim.Datastore,), "--datastore"),
        network=child("network", where.network, (vim.Network,), "--network"),
    )


def machine(connection: Connection, folder_path: str, name: str) -> Any:
    """The machine called `name` in the folder, or None."""
    return connection.find(f"{folder_path}/{_escaped(name)}")


def _find(connection: Connection, path: str, kinds: tuple[type, ...], option: str) -> Any:
    found = connection.find(path)
    if not isinstance(found, kinds):
        raise NotThere(f"there is no {path} in this vCenter", hint=f"{option} names it")
    return found


def _escaped(name: str) -> str:
    """Inventory paths write a slash in a name as %2f, and a percent sign as %25."""
    return name if not set("/\\%") & set(name) else quote(name, safe=" ")
