"""Publishing as a template, seen from vCenter."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyVmomi import vim

from vvctl.errors import IntegrityError
from vvctl.publish.vmware import compare, place, removal
from vvctl.publish.vmware.archive import Archive
from vvctl.publish.vmware.connection import Connection, connected
from vvctl.publish.vmware.description import Description
from vvctl.publish.vmware.errors import MissingPrivileges, NameTaken, NotEnoughSpace, NotOurs, NotThere, VsphereError
from vvctl.publish.vmware.place import Where
from vvctl.publish.vmware.template import MARK, Order, mark_of

from .conftest import CREDENTIALS, NAME, WHERE, Engineer, Start, server

FOLDER = "DC0/vm"


def differences(engineer: Engineer, option: str = "tier1") -> list[str]:
    with connected(server(engineer.vcenter), CREDENTIALS) as connection:
        machine = place.machine(connection, FOLDER, NAME)
        return compare.template(connection, machine, Description.read(engineer.archive.descriptor), option)


def test_disks_arrive_byte_by_byte_in_their_order(engineer: Engineer) -> None:
    engineer.publish()
    sent = [b"".join(engineer.archive.blocks(disk.name)) for disk in engineer.archive.disks]
    assert engineer.vcenter.disks(NAME) == sent
    assert engineer.inventory() == [NAME]


def test_template_is_what_the_ovf_says(engineer: Engineer) -> None:
    engineer.publish()
    assert differences(engineer) == []


def test_template_has_the_tier_that_was_asked_for(engineer: Engineer) -> None:
    engineer.publish(Order(NAME, "tier2"))
    assert differences(engineer, "tier2") == []
    assert differences(engineer) == ["cores: 20 instead of 12", "MB of memory: 24576 instead of 16384"]


def test_imports_on_the_host_that_was_named(engineer: Engineer, connection: Connection) -> None:
    """A cluster without DRS cannot choose one."""
    for number in range(3):
        where = Where(compute=f"DC0_C0/DC0_C0_H{number}", network="VM Network")
        engineer.publish(Order(f"on-{number}"), where)
        machine = place.machine(connection, FOLDER, f"on-{number}")
        host = connection.read(machine, "runtime.host")["runtime.host"]
        assert connection.read(host, "name") == {"name": f"DC0_C0_H{number}"}


def test_names_what_somebody_changed(engineer: Engineer, connection: Connection) -> None:
    engineer.publish()
    machine = place.machine(connection, FOLDER, NAME)
    machine.MarkAsVirtualMachine(place.resolve(connection, WHERE).pool)
    connection.wait(machine.ReconfigVM_Task(vim.vm.ConfigSpec(memoryMB=2048, firmware="efi")))
    assert differences(engineer) == [
        "is a template: False instead of True",
        "firmware: 'efi' instead of 'bios'",
        "MB of memory: 2048 instead of 16384",
    ]


def test_refuses_a_name_that_is_taken_and_leaves_what_has_it(engineer: Engineer) -> None:
    engineer.publish()
    engineer.vcenter.fail()
    with pytest.raises(NameTaken, match=f"{FOLDER} holds a {NAME} already"):
        engineer.publish()
    assert {"ImportVApp", "Destroy_Task", "UploadDisk"}.isdisjoint(engineer.vcenter.calls())
    assert differences(engineer) == []


def test_names_every_missing_privilege_before_anything_is_made(archive: Archive, start: Start) -> None:
    engineer = Engineer(archive, start("-deny", "Network.Assign,VApp.Import"))
    with pytest.raises(MissingPrivileges, match=r"VApp\.Import on Resources.*Network\.Assign on VM Network"):
        engineer.publish()
    assert "ImportVApp" not in engineer.vcenter.calls()


@pytest.mark.parametrize(("thick", "free"), [(False, 5 << 20), (True, 40 << 20)])
def test_refuses_a_datastore_without_space(archive: Archive, start: Start, thick: bool, free: int) -> None:
    # Thin disks take the 6.3 MB that they hold, thick ones their 48 MB.
    engineer = Engineer(archive, start("-free", str(free)))
    with pytest.raises(NotEnoughSpace, match=r"LocalDS_0 has .* MB free"):
        engineer.publish(Order(NAME, thick=thick))
    assert "ImportVApp" not in engineer.vcenter.calls()


def test_thin_disks_need_only_what_they_hold(archive: Archive, start: Start) -> None:
    engineer = Engineer(archive, start("-free", str(40 << 20)))
    engineer.publish()
    assert engineer.inventory() == [NAME]


def test_damaged_ova_is_refused(ova: Path, tmp_path: Path) -> None:
    content = bytearray(ova.read_bytes())
    content[-50000] ^= 1
    (tmp_path / "damaged.ova").write_bytes(content)
    with pytest.raises(IntegrityError, match="wrong about"):
        Archive.load(tmp_path / "damaged.ova")


@pytest.mark.parametrize(
    ("where", "message"),
    [
        (Where(compute="DC0_C0", network="nowhere"), "DC0/network/nowhere"),
        (Where(network="VM Network"), r"--compute must be given: there are DC0_C0, DC0_H0"),
        (Where(datacenter="DC9"), "DC9/vm"),
        (Where(folder="a/b"), "DC0/vm/a/b"),
    ],
)
def test_says_which_place_does_not_exist_or_must_be_chosen(engineer: Engineer, where: Where, message: str) -> None:
    with pytest.raises(NotThere, match=message):
        engineer.publish(where=where)


def test_says_why_vcenter_cannot_import(engineer: Engineer) -> None:
    with pytest.raises(VsphereError, match="No deployment option tier9"):
        engineer.publish(Order(NAME, "tier9"))


def test_unpublishing_removes_the_template_and_nothing_else(engineer: Engineer, connection: Connection) -> None:
    engineer.publish()
    engineer.publish(Order("other"))
    removal.remove_template(connection, place.machine(connection, FOLDER, NAME), NAME)
    assert engineer.inventory() == ["other"]


def test_unpublishing_refuses_what_vvctl_did_not_make(engineer: Engineer, connection: Connection) -> None:
    engineer.publish()
    ours = place.machine(connection, FOLDER, NAME)
    pool = place.resolve(connection, WHERE).pool
    spec = vim.vm.CloneSpec(location=vim.vm.RelocateSpec(pool=pool), template=False)
    clone = connection.wait(ours.CloneVM_Task(place.folder(connection, WHERE)[1], "clone", spec))
    # A clone carries the extra configuration of what it was made from; the simulator forgets it.
    mark = vim.option.OptionValue(key=MARK, value=mark_of(connection, ours))
    connection.wait(clone.ReconfigVM_Task(vim.vm.ConfigSpec(extraConfig=[mark])))
    clone.MarkAsTemplate()
    with pytest.raises(NotOurs, match="copy"):
        removal.remove_template(connection, clone, "clone")
    ours.MarkAsVirtualMachine(pool)
    with pytest.raises(NotOurs, match="no template"):
        removal.remove_template(connection, ours, NAME)
    assert engineer.inventory() == ["clone", NAME]
