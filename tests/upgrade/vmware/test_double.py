"""The double is as strict as vCenter where an upgrade depends on it, seen by somebody who is not vvctl upgrade."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pyVmomi import vim, vmodl

from tests.doubles.appliance import B
from tests.doubles.vmware.server import make_identity, running
from vvctl.publish.vmware.archive import Archive

from .administrator import Administrator
from .platform import NAME, VmwarePlatform

OTHER = "other"


@pytest.fixture
def administrator(vmware: VmwarePlatform) -> Any:
    with vmware.administrator() as found:
        found.import_ova(Archive.load(vmware.images[B]), OTHER)
        yield found


def state_of(vmware: VmwarePlatform, name: str) -> dict[str, Any]:
    found = vmware.vcenter.state()["machines"]
    return next(dict(machine) for machine in found if machine["name"] == name)


def test_it_ends_with_whoever_started_it_and_leaves_nothing(program: Path, tmp_path: Path) -> None:
    """A process that is killed closes its files, too."""
    identity, store = make_identity(tmp_path), tmp_path / "store"
    store.mkdir()
    with running(program, identity, store):
        assert list(store.iterdir())
    assert list(store.iterdir()) == []


def test_a_disk_runs_with_one_machine(vmware: VmwarePlatform, administrator: Administrator) -> None:
    """It may be attached to two; the second one does not start."""
    administrator.attach(OTHER, vmware.data_file)
    with pytest.raises(vim.fault.FileLocked):
        administrator.does(administrator.machine(OTHER).PowerOnVM_Task())
    administrator.does(administrator.machine(NAME).PowerOffVM_Task())
    administrator.does(administrator.machine(OTHER).PowerOnVM_Task())
    with pytest.raises(vim.fault.FileLocked):
        administrator.does(administrator.machine(NAME).PowerOnVM_Task())


def test_a_disk_that_is_not_there(administrator: Administrator) -> None:
    with pytest.raises(vim.fault.FileNotFound):
        administrator.attach(OTHER, "[LocalDS_0] nowhere/disk.vmdk")


def test_deleting_a_machine_deletes_what_is_attached(vmware: VmwarePlatform, administrator: Administrator) -> None:
    administrator.does(administrator.machine(NAME).PowerOffVM_Task())
    system, data = administrator.disks(NAME)
    administrator.detach(NAME, data)
    administrator.does(administrator.machine(NAME).Destroy_Task())
    files = vmware.vcenter.state()["files"]
    assert data.backing.fileName in files
    assert system.backing.fileName not in files
    administrator.attach(OTHER, data.backing.fileName)
    administrator.does(administrator.machine(OTHER).PowerOnVM_Task())


def test_a_machine_that_runs_is_not_deleted(administrator: Administrator) -> None:
    with pytest.raises(vim.fault.InvalidPowerState):
        administrator.does(administrator.machine(NAME).Destroy_Task())


def test_a_change_of_another_version_is_refused(administrator: Administrator) -> None:
    version = administrator.read(NAME, "config.changeVersion")
    administrator.configure(NAME, changeVersion=version, annotation="mine")
    with pytest.raises(vim.fault.ConcurrentAccess):
        administrator.configure(NAME, changeVersion=version, annotation="yours")
    assert administrator.read(NAME, "config.annotation") == "mine"


def test_one_task_at_a_time(administrator: Administrator) -> None:
    machine = administrator.machine(OTHER)
    first = machine.ReconfigVM_Task(vim.vm.ConfigSpec(annotation="a"))
    with pytest.raises(vim.fault.TaskInProgress):
        machine.PowerOnVM_Task()
    administrator.does(first)


def test_a_name_stands_once_in_a_folder(administrator: Administrator) -> None:
    with pytest.raises(vim.fault.DuplicateName):
        administrator.configure(OTHER, name=NAME)


def test_an_empty_option_is_removed(vmware: VmwarePlatform, administrator: Administrator) -> None:
    for value in ("a", "b", ""):
        administrator.configure(OTHER, extraConfig=[vim.option.OptionValue(key="k", value=value)])
        assert state_of(vmware, OTHER)["options"].get("k", "") == value


def test_a_snapshot_brings_back_disks_and_configuration(vmware: VmwarePlatform, administrator: Administrator) -> None:
    administrator.does(administrator.machine(NAME).PowerOffVM_Task())
    before = vmware.guests.layers[vmware.data_file].kept()
    administrator.does(administrator.machine(NAME).CreateSnapshot_Task("s", "", False, False))
    top = state_of(vmware, NAME)["disks"][1]["file"]
    assert top != vmware.data_file
    vmware.guests.layers[top].records["speakers"].pop()
    administrator.configure(NAME, name="renamed", extraConfig=[vim.option.OptionValue(key="k", value="v")])
    (tree,) = administrator.read("renamed", "snapshot.rootSnapshotList")
    administrator.does(tree.snapshot.RevertToSnapshot_Task())
    found = state_of(vmware, NAME)
    assert "k" not in found["options"]
    assert vmware.guests.layers[found["disks"][1]["file"]].kept() == before
    vmware.guests.layers[found["disks"][1]["file"]].records["speakers"].append("dora")
    administrator.does(tree.snapshot.RemoveSnapshot_Task(False))
    assert state_of(vmware, NAME)["disks"][1]["file"] == vmware.data_file
    assert vmware.guests.layers[vmware.data_file].records["speakers"][-1] == "dora"


def test_a_disk_with_a_snapshot_stays_where_it_is(administrator: Administrator) -> None:
    administrator.does(administrator.machine(NAME).CreateSnapshot_Task("s", "", False, False))
    disk = administrator.disks(NAME)[1]
    with pytest.raises(vim.fault.InvalidDeviceOperation):
        administrator.detach(NAME, disk)
    disk.capacityInKB *= 2
    with pytest.raises(vim.fault.InvalidDeviceOperation):
        administrator.edit(NAME, disk)


def test_an_assigned_address_stands_once(vmware: VmwarePlatform, administrator: Administrator) -> None:
    adapter = administrator.adapter(OTHER)
    adapter.addressType, adapter.macAddress = "assigned", vmware.address
    administrator.edit(OTHER, adapter)
    assert administrator.adapter(OTHER).macAddress != vmware.address


def test_a_guest_without_tools_cannot_be_told(vmware: VmwarePlatform) -> None:
    vmware.reset(options=("-guest-time", "1h"))
    with vmware.administrator() as administrator, pytest.raises(vim.fault.ToolsUnavailable):
        administrator.machine(NAME).ShutdownGuest()


def test_answers_come_in_pages(vmware: VmwarePlatform, administrator: Administrator) -> None:
    collector = administrator.connection.content.propertyCollector
    administrator.import_ova(Archive.load(vmware.images[B]), "third")
    kind = vmodl.query.PropertyCollector
    step = kind.TraversalSpec(type=vim.Folder, path="childEntity", skip=False)
    folder = administrator.connection.find("DC0/vm")
    wanted = kind.FilterSpec(
        objectSet=[kind.ObjectSpec(obj=folder, skip=True, selectSet=[step])],
        propSet=[kind.PropertySpec(type=vim.VirtualMachine, pathSet=["name"])],
    )
    first = collector.RetrievePropertiesEx([wanted], kind.RetrieveOptions())
    assert len(first.objects) == 2
    rest = collector.ContinueRetrievePropertiesEx(first.token)
    assert len(rest.objects) == 1
    assert not rest.token
    with pytest.raises(vmodl.fault.InvalidArgument):
        collector.ContinueRetrievePropertiesEx(first.token)
