from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vvctl.appliance import Appliance
from vvctl.image import disks
from vvctl.image.ext4 import MIB, E2fsprogs

SIZE_MIB = 1024

Assemble = Callable[[Path, str], None]


@pytest.fixture(scope="module")
def tools(reproducible: dict[str, str]) -> E2fsprogs:
    return E2fsprogs(None, reproducible)


@pytest.fixture(scope="module")
def rootfs(tmp_path_factory: pytest.TempPathFactory, appliance: Appliance) -> Path:
    folder = tmp_path_factory.mktemp("rootfs")
    (folder / appliance.disks.data.mount.removeprefix("/")).mkdir()
    (folder / "etc").mkdir()
    (folder / "etc/hostname").write_text("here\n")
    return folder


@pytest.fixture(scope="module")
def assemble(appliance: Appliance, rootfs: Path, tools: E2fsprogs, reproducible: dict[str, str]) -> Assemble:
    def assemble(output: Path, seed: str) -> None:
        disks.assemble_system_disk(
            appliance, rootfs, output, seed, tools=tools, environment=reproducible, size_mib=SIZE_MIB
        )

    return assemble


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory, assemble: Assemble) -> Path:
    output = tmp_path_factory.mktemp("disks") / "system.raw"
    assemble(output, "one")
    return output


def table(disk: Path) -> dict[str, Any]:
    output = subprocess.run(["sfdisk", "--json", disk], capture_output=True, text=True, check=True).stdout
    content: dict[str, Any] = json.loads(output)["partitiontable"]
    return content


def root_offset() -> int:
    return disks.system_layout(SIZE_MIB)[2].start_mib * MIB


def ext4(command: str, device: str) -> str:
    return subprocess.run(["debugfs", "-R", command, device], capture_output=True, text=True, check=True).stdout


def test_system_disk_has_bios_boot_esp_and_root(system: Path) -> None:
    found = table(system)
    assert found["label"] == "gpt"
    assert [part["type"] for part in found["partitions"]] == [
        disks.BIOS_BOOT,
        disks.EFI_SYSTEM,
        disks.LINUX_ROOT_X86_64,
    ]
    assert system.stat().st_size == SIZE_MIB * MIB


def test_root_file_system_carries_the_label_and_the_content(system: Path, appliance: Appliance) -> None:
    device = f"{system}?offset={root_offset()}"
    assert f"Filesystem volume name:   {appliance.disks.system.label}\n" in ext4("stats -h", device)
    assert ext4("cat /etc/hostname", device) == "here\n"


def test_root_file_system_is_sound(system: Path, tools: E2fsprogs) -> None:
    tools.check(system, offset_mib=root_offset() // MIB)


def test_data_mount_point_is_immutable(system: Path, appliance: Appliance) -> None:
    assert "Flags: 0x80010" in ext4(f"stat {appliance.disks.data.mount}", f"{system}?offset={root_offset()}")


def test_esp_holds_a_boot_loader_for_uefi(system: Path) -> None:
    esp = disks.system_layout(SIZE_MIB)[1]
    listing = subprocess.run(
        ["mdir", "-b", "-i", f"{system}@@{esp.start_mib * MIB}", "::EFI/BOOT"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "BOOTX64.EFI" in listing


def test_another_seed_gives_another_identity(system: Path, assemble: Assemble, tmp_path: Path) -> None:
    other = tmp_path / "other.raw"
    assemble(other, "two")
    assert table(other)["id"] != table(system)["id"]
    assert {part["uuid"] for part in table(other)["partitions"]}.isdisjoint(
        part["uuid"] for part in table(system)["partitions"]
    )


def test_failed_assembly_leaves_nothing(
    appliance: Appliance, tools: E2fsprogs, reproducible: dict[str, str], tmp_path: Path
) -> None:
    with pytest.raises(Exception, match="mke2fs"):
        disks.assemble_system_disk(
            appliance,
            tmp_path / "missing",
            tmp_path / "out" / "system.raw",
            "one",
            tools=tools,
            environment=reproducible,
            size_mib=SIZE_MIB,
        )
    assert list((tmp_path / "out").iterdir()) == []


def test_data_disk_is_one_empty_labelled_file_system(appliance: Appliance, tools: E2fsprogs, tmp_path: Path) -> None:
    disk = tmp_path / "data.raw"
    disks.make_data_disk(appliance, disk, "one", tools=tools)
    assert disk.stat().st_size == appliance.disks.data.size_gb << 30
    # Sparse: a delivered empty disk must not cost its size.
    assert disk.stat().st_blocks * 512 < 64 * MIB
    header = ext4("stats -h", str(disk))
    assert f"Filesystem volume name:   {appliance.disks.data.label}\n" in header
    assert f"Block count:              {disk.stat().st_size // 4096}\n" in header
    names = {line.split("/")[5] for line in ext4("ls -p /", str(disk)).splitlines() if line.startswith("/")}
    assert names == {".", "..", "lost+found"}


def test_fstab_mounts_the_root_by_label_and_leaves_the_data_disk_to_its_unit(appliance: Appliance) -> None:
    root, shared_memory = disks.fstab(appliance).splitlines()
    assert root.startswith(f"LABEL={appliance.disks.system.label} / ext4 ")
    assert "noexec" in shared_memory


def test_layout_ends_before_the_backup_table() -> None:
    root = disks.system_layout(SIZE_MIB)[2]
    assert root.start_mib + root.size_mib == SIZE_MIB - 1


def test_identity_follows_from_the_seed() -> None:
    assert disks.identity("a", "root") == disks.identity("a", "root") != disks.identity("b", "root")
