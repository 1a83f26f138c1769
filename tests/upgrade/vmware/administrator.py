"""What an administrator does in the vSphere client, by pyvmomi: imports an OVA and starts it, and whatever else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pyVmomi import vim

from tests.doubles.vmware.server import PASSWORD, USER, VCenter
from vvctl.publish.vmware.archive import Archive
from vvctl.publish.vmware.connection import Connection, Credentials, Server, connected
from vvctl.publish.vmware.description import Description
from vvctl.publish.vmware.lease import Lease, Transfer
from vvctl.publish.vmware.place import Where, resolve

HOME = "DC0/vm"
SETTINGS = {"hostname": "voice", "domain": "example.org"}


@contextmanager
def logged_in(vcenter: VCenter) -> Iterator[Administrator]:
    server = Server("localhost", vcenter.port, ca_file=vcenter.identity.authority)
    with connected(server, Credentials(USER, PASSWORD)) as connection:
        yield Administrator(connection)


class Administrator:
    """One session."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def import_ova(self, archive: Archive, name: str, tier: str = "tier2") -> Any:
        """A machine with both disks, off; its tier and settings are not the defaults of the OVA."""
        description = Description.read(archive.descriptor)
        place = resolve(self.connection, Where(compute="DC0_C0/DC0_C0_H1", network="VM Network"))
        result = self.connection.content.ovfManager.CreateImportSpec(
            archive.descriptor,
            place.pool,
            place.datastore,
            vim.OvfManager.CreateImportSpecParams(
                entityName=name,
                locale="",
                deploymentOption=tier,
                networkMapping=[
                    vim.OvfManager.NetworkMapping(name=network, network=place.network)
                    for network in description.networks
                ],
                propertyMapping=[vim.KeyValue(key=key, value=value) for key, value in SETTINGS.items()],
                diskProvisioning="thin",
            ),
        )
        lease = Lease(self.connection, place.pool.ImportVApp(result.importSpec, place.folder, place.host))
        lease.wait_until_ready()
        lease.upload(archive, result.fileItem, Transfer(1, lambda _: None))
        lease.complete()
        return lease.machine

    def machine(self, name: str) -> Any:
        return self.connection.find(f"{HOME}/{name}")

    def does(self, task: Any) -> Any:
        """Wait for a task; raises the fault that it ended with."""
        return self.connection.wait(task)

    def configure(self, machine: str, /, **changes: Any) -> None:
        self.does(self.machine(machine).ReconfigVM_Task(vim.vm.ConfigSpec(**changes)))

    def read(self, name: str, path: str) -> Any:
        return self.connection.read(self.machine(name), path).get(path)

    def disks(self, name: str) -> list[Any]:
        devices = self.read(name, "config.hardware.device")
        return [device for device in devices if isinstance(device, vim.vm.device.VirtualDisk)]

    def adapter(self, name: str) -> Any:
        devices = self.read(name, "config.hardware.device")
        return next(device for device in devices if isinstance(device, vim.vm.device.VirtualEthernetCard))

    def detach(self, name: str, disk: Any) -> None:
        """Its file stays."""
        self._change(name, vim.vm.device.VirtualDeviceSpec.Operation.remove, disk)

    def edit(self, name: str, device: Any) -> None:
        self._change(name, vim.vm.device.VirtualDeviceSpec.Operation.edit, device)

    def attach(self, name: str, file: str, unit: int = 5) -> None:
        devices = self.read(name, "config.hardware.device")
        bus = next(device for device in devices if isinstance(device, vim.vm.device.ParaVirtualSCSIController))
        disk = vim.vm.device.VirtualDisk(
            key=-1,
            controllerKey=bus.key,
            unitNumber=unit,
            backing=vim.vm.device.VirtualDisk.FlatVer2BackingInfo(fileName=file, diskMode="persistent"),
        )
        self._change(name, vim.vm.device.VirtualDeviceSpec.Operation.add, disk)

    def _change(self, name: str, operation: Any, device: Any) -> None:
        self.configure(name, deviceChange=[vim.vm.device.VirtualDeviceSpec(operation=operation, device=device)])
