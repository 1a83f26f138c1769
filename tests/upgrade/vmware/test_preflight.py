"""What is found before anything is done; nothing is changed by looking."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pyVmomi import vim

from tests.doubles.appliance import A

from .administrator import Administrator
from .platform import NAME, VmwarePlatform

Make = Callable[..., Any]


def problems(provider: Any) -> list[str]:
    return [finding.problem for finding in provider.preflight()]


def test_nothing_stands_in_the_way(vmware: VmwarePlatform, provider: Make) -> None:
    assert problems(provider()) == []
    assert vmware.mutations() == []


def add_snapshot(administrator: Administrator) -> None:
    administrator.does(administrator.machine(NAME).CreateSnapshot_Task("before the holidays", "", False, False))


def switch_off(administrator: Administrator) -> None:
    administrator.does(administrator.machine(NAME).PowerOffVM_Task())


def make_independent(administrator: Administrator) -> None:
    disk = administrator.disks(NAME)[1]
    disk.backing.diskMode = "independent_persistent"
    administrator.edit(NAME, disk)


def share(administrator: Administrator) -> None:
    disk = administrator.disks(NAME)[1]
    disk.backing.sharing = "sharingMultiWriter"
    administrator.edit(NAME, disk)


def take_data_disk(administrator: Administrator) -> None:
    administrator.detach(NAME, administrator.disks(NAME)[1])


def disconnect(administrator: Administrator) -> None:
    adapter = administrator.adapter(NAME)
    adapter.connectable.startConnected = False
    administrator.edit(NAME, adapter)


def change_address(administrator: Administrator) -> None:
    adapter = administrator.adapter(NAME)
    adapter.addressType, adapter.macAddress = "manual", "00:50:56:01:02:03"
    administrator.edit(NAME, adapter)


def maintain_host(administrator: Administrator) -> None:
    administrator.does(administrator.read(NAME, "runtime.host").EnterMaintenanceMode_Task(0, False))


def add_disk(administrator: Administrator) -> None:
    disk = administrator.disks(NAME)[1]
    disk.key, disk.unitNumber, disk.capacityInKB = -1, 6, 1024
    disk.backing.fileName, disk.backing.uuid = "", None
    change = vim.vm.device.VirtualDeviceSpec(operation="add", fileOperation="create", device=disk)
    administrator.configure(NAME, deviceChange=[change])


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (add_snapshot, f"{NAME} has snapshots (before the holidays)"),
        (switch_off, f"{NAME} is off"),
        (make_independent, "the data disk is independent_persistent"),
        (share, "the data disk may be shared by machines"),
        (take_data_disk, f"{NAME} does not have the data disk any more"),
        (disconnect, "is not connected at power on"),
        (change_address, "its address is not 00:50:56:8"),
        (maintain_host, "the host DC0_C0_H1 is in maintenance mode"),
        (add_disk, f"{NAME} has 3 disks (Hard Disk 1, Hard Disk 2, "),
    ],
)
def test_machine(vmware: VmwarePlatform, provider: Make, harm: Callable[[Administrator], None], says: str) -> None:
    made = provider()
    with vmware.administrator() as administrator:
        harm(administrator)
    assert says in "; ".join(problems(made))
    assert vmware.mutations() == []


@pytest.mark.parametrize(
    ("option", "says"),
    [
        (("-guest-time", "1h"), f"VMware Tools do not run in {NAME}"),
        (("-free", str(13 << 20)), "the datastore LocalDS_0 has"),
        (
            ("-deny", "VirtualMachine.Config.RemoveDisk,Datastore.FileManagement"),
            "the user lacks VirtualMachine.Config.RemoveDisk on vm, Datastore.FileManagement on LocalDS_0",
        ),
    ],
)
def test_vcenter(vmware: VmwarePlatform, provider: Make, option: tuple[str, str], says: str) -> None:
    vmware.reset(options=option)
    assert says in "; ".join(problems(provider()))
    assert vmware.mutations() == []


def test_another_ova_than_at_the_beginning(vmware: VmwarePlatform, provider: Make) -> None:
    with pytest.raises(Exception, match="another one than at the beginning"):
        provider(ova=str(vmware.images[A])).preflight()


def test_what_a_broken_upgrade_left(vmware: VmwarePlatform, provider: Make) -> None:
    first = provider("u1")
    first.lock()
    first.stage_new()
    first.unlock()
    assert problems(provider("u2")) == [f"{NAME}.new-u1 is left of upgrade u1"]
    # Its own is not in its way.
    assert problems(first) == []
