"""Phase 4: the system disk and the data disk as raw, sparse files, without loop devices or mounts."""

from __future__ import annotations

import os
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path

from vvctl.appliance import Appliance
from vvctl.image import grub
from vvctl.image.ext4 import MIB, E2fsprogs
from vvctl.image.run import run

SECTORS_PER_MIB = MIB // grub.SECTOR
NAMESPACE = uuid.UUID("6e7ab9b5-6d0c-5d9e-9c5e-1d1d3f6d2c11")
# Partition types: UEFI specification 2.10 table 5-7, GRUB manual (BIOS boot), Discoverable Partitions Specification.
BIOS_BOOT = "21686148-6449-6E6F-744E-656564454649"
EFI_SYSTEM = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
LINUX_ROOT_X86_64 = "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"
ESP_LABEL = "VV-ESP"
SYSTEM_JOURNAL_MIB = 64
# What mke2fs itself gives a file system of 64 GiB to 128 GiB: the data disk grows, its journal does not.
DATA_JOURNAL_MIB = 512
TOOLS = ("sfdisk", "mkfs.vfat", "mmd", "mcopy", "grub-mkimage")


@dataclass(frozen=True)
class Partition:
    """One partition; places in MiB."""

    name: str
    kind: str
    start_mib: int
    size_mib: int


def system_layout(size_mib: int) -> tuple[Partition, Partition, Partition]:
    """BIOS boot, EFI system partition and root: the last ends one MiB before the end, where GPT has its copy."""
    bios = Partition("bios", BIOS_BOOT, 1, 1)
    esp = Partition("esp", EFI_SYSTEM, 2, 64)
    start = esp.start_mib + esp.size_mib
    return bios, esp, Partition("system", LINUX_ROOT_X86_64, start, size_mib - start - 1)


def identity(seed: str, name: str) -> str:
    """A UUID that follows from the build's `seed`: the same build gives the same disks."""
    return str(uuid.uuid5(NAMESPACE, f"{seed}/{name}"))


def fstab(appliance: Appliance) -> str:
    """Content of /etc/fstab: the root by label, because every platform names the devices differently.

    No program runs from shared memory, which everybody may write to. The data disk has a mount unit of its own, which
    refuses what must not be mounted (role data_disk).
    """
    return (
        f"LABEL={appliance.disks.system.label} / ext4 defaults,errors=remount-ro 0 1\n"
        "tmpfs /dev/shm tmpfs nosuid,nodev,noexec 0 0\n"
    )


def assemble_system_disk(
    appliance: Appliance,
    rootfs: Path,
    output: Path,
    seed: str,
    *,
    tools: E2fsprogs,
    environment: dict[str, str],
    size_mib: int | None = None,
) -> None:
    """Write the system disk `output` (raw, sparse) from the provisioned root file system `rootfs`.

    `rootfs` is only read. Every `seed` gives other UUIDs and, with the same `environment`, the same bytes again.
    Raises CommandFailed when a tool fails and IntegrityError when the result is not as intended; `output` appears
    only when it is complete.
    """
    size = size_mib or appliance.disks.system.size_gb * 1024
    bios, esp, root = system_layout(size)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".disk-", dir=output.parent) as scratch:
        work = Path(scratch)
        disk = work / "disk.raw"
        _allocate(disk, size)
        _partition(disk, seed, (bios, esp, root))
        core, efi = grub.make_images(work, appliance.disks.system.label)
        tools.make(
            disk,
            label=appliance.disks.system.label,
            uuid=identity(seed, "root"),
            hash_seed=identity(seed, "hash"),
            size_mib=root.size_mib,
            offset_mib=root.start_mib,
            content=rootfs,
            journal_mib=SYSTEM_JOURNAL_MIB,
        )
        tools.make_immutable(disk, appliance.disks.data.mount, offset_mib=root.start_mib)
        _fill_esp(disk, esp, efi, seed, environment)
        grub.embed(
            disk,
            (grub.BIOS_DIRECTORY / "boot.img").read_bytes(),
            core.read_bytes(),
            first_sector=bios.start_mib * SECTORS_PER_MIB,
            sectors=bios.size_mib * SECTORS_PER_MIB,
        )
        disk.replace(output)


def make_data_disk(
    appliance: Appliance, output: Path, seed: str, *, tools: E2fsprogs, size_mib: int | None = None
) -> None:
    """Write the empty data disk `output` (raw, sparse): ext4 without a partition table, so it grows by itself."""
    size = size_mib or appliance.disks.data.size_gb * 1024
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".disk-", dir=output.parent) as scratch:
        disk = Path(scratch) / "disk.raw"
        _allocate(disk, size)
        tools.make(
            disk,
            label=appliance.disks.data.label,
            uuid=identity(seed, "data"),
            hash_seed=identity(seed, "data-hash"),
            size_mib=size,
            journal_mib=min(DATA_JOURNAL_MIB, size // 8),
        )
        disk.replace(output)


def _allocate(disk: Path, size_mib: int) -> None:
    with disk.open("wb") as file:
        os.truncate(file.fileno(), size_mib * MIB)


def _partition(disk: Path, seed: str, partitions: tuple[Partition, ...]) -> None:
    lines = ["label: gpt", f"label-id: {identity(seed, 'disk')}"]
    lines += [
        f"start={part.start_mib * SECTORS_PER_MIB}, size={part.size_mib * SECTORS_PER_MIB},"
        f" type={part.kind}, uuid={identity(seed, part.name)}, name={part.name}"
        for part in partitions
    ]
    run(["sfdisk", "--quiet", disk], stdin="".join(f"{line}\n" for line in lines))


def _fill_esp(disk: Path, esp: Partition, loader: Path, seed: str, environment: dict[str, str]) -> None:
    image = disk.with_name("esp.img")
    _allocate(image, esp.size_mib)
    volume = identity(seed, "esp-volume").replace("-", "")[:8]
    run(["mkfs.vfat", "-F", "32", "-n", ESP_LABEL, "-i", volume, "--invariant", image])
    epoch = int(environment["SOURCE_DATE_EPOCH"])
    os.utime(loader, (epoch, epoch))
    run(["mmd", "-i", image, "::EFI", "::EFI/BOOT"], env=environment)
    run(["mcopy", "-m", "-i", image, loader, "::EFI/BOOT/BOOTX64.EFI"], env=environment)
    with image.open("rb") as content, disk.open("r+b") as target:
        for number in range(esp.size_mib):
            block = content.read(MIB)
            # What is zero already stays a hole.
            if block.count(0) < MIB:
                target.seek((esp.start_mib + number) * MIB)
                target.write(block)
