"""Finding the machine, its data disk and the OVA."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.doubles.appliance import B
from vvctl.commands.upgrade_vmware import find
from vvctl.errors import VvctlError
from vvctl.publish.vmware.archive import Archive

from .administrator import Administrator
from .platform import NAME, VmwarePlatform


@pytest.fixture(autouse=True)
def credentials(vmware: VmwarePlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in vmware.env().items():
        monkeypatch.setenv(key, value)


def found(vmware: VmwarePlatform, machine: str = NAME, **options: Any) -> dict[str, Any]:
    options = {"ova": vmware.image, **options}
    return find(f"localhost:{vmware.vcenter.port}", machine, vcenter_ca_file=vmware.identity.authority, **options)


def refusal(vmware: VmwarePlatform, machine: str = NAME, **options: Any) -> str:
    with pytest.raises(VvctlError) as caught:
        found(vmware, machine, **options)
    assert caught.value.hint or "damaged" in caught.value.message
    return caught.value.message


def test_machine_disk_and_image(vmware: VmwarePlatform) -> None:
    facts = found(vmware)
    assert facts["machine"] == f"{NAME} ({vmware.old})"
    assert facts["data_disk"] == f"Hard Disk 2, {vmware.data_file}"
    assert (facts["version"], facts["format_epoch"]) == (B.number, B.format_epoch)
    assert facts["address"] == vmware.address
    assert "secret" not in str(facts)
    assert vmware.mutations() == []


def test_no_such_machine(vmware: VmwarePlatform) -> None:
    assert refusal(vmware, "other") == "there is no machine other in DC0"
    assert "there is no DC0/vm/elsewhere" in refusal(vmware, folder="elsewhere")


def test_two_machines_of_that_name(vmware: VmwarePlatform) -> None:
    with vmware.administrator() as administrator:
        folder = administrator.connection.find("DC0/vm").CreateFolder("spare")
        other = administrator.import_ova(Archive.load(vmware.image), "twin")
        administrator.does(folder.MoveIntoFolder_Task([other]))
        administrator.does(other.Rename_Task(NAME))
    assert refusal(vmware) == f"there are 2 machines called {NAME}, in spare, vm"
    assert found(vmware, folder="spare")["vm"] != vmware.old


def without_data_disk(administrator: Administrator) -> None:
    administrator.detach(NAME, administrator.disks(NAME)[1])


def a_template(administrator: Administrator) -> None:
    administrator.does(administrator.machine(NAME).PowerOffVM_Task())
    administrator.machine(NAME).MarkAsTemplate()


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (without_data_disk, f"{NAME} has no data disk: its disks on PVSCSI are Hard Disk 1"),
        (a_template, f"{NAME} is a template"),
    ],
)
def test_not_a_machine_to_upgrade(vmware: VmwarePlatform, harm: Any, says: str) -> None:
    with vmware.administrator() as administrator:
        harm(administrator)
    assert says in refusal(vmware)


def test_a_damaged_image(vmware: VmwarePlatform, tmp_path: Path) -> None:
    content = bytearray(vmware.image.read_bytes())
    content[-20000] ^= 1
    damaged = tmp_path / "damaged.ova"
    damaged.write_bytes(content)
    assert "damaged.ova" in refusal(vmware, ova=damaged)


def test_without_credentials(vmware: VmwarePlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VV_VSPHERE_PASSWORD")
    assert refusal(vmware) == "VV_VSPHERE_PASSWORD must be set"
