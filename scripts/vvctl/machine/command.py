"""How QEMU is called for a machine."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal

from vvctl.errors import MissingTool
from vvctl.machine.disk import CacheMode
from vvctl.machine.emulator import Emulator
from vvctl.machine.nic import Nic

_OVMF = Path("/usr/share/OVMF")


class Bus(StrEnum):
    """Where the disks are: as VMware attaches them, as AWS Nitro does, or as KVM's hosts do."""

    PVSCSI = "pvscsi"
    NVME = "nvme"
    VIRTIO = "virtio"


@dataclass(frozen=True)
class Hardware:
    """What the machine is made of."""

    firmware: Literal["bios", "efi"]
    bus: Bus = Bus.PVSCSI
    network_card: str = "vmxnet3"
    cores: int = 2
    # Below 2816 MiB QEMU's q35 puts no memory above 4 GiB. With some there, SeaBIOS 1.16.3 places the registers of NVMe
    # controllers up there as well, where it cannot reach them, and finds nothing to boot from.
    memory_mb: int = 2560
    cache: CacheMode = CacheMode.DURABLE
    # What the firmware says about the machine, as arguments of -smbios; empty: that it is QEMU's.
    identity: tuple[str, ...] = ()


_DISK_DEVICE = {
    Bus.PVSCSI: "scsi-hd,bus=scsi0.0,scsi-id={index}",
    Bus.NVME: "nvme,serial=vv{index}",
    Bus.VIRTIO: "virtio-blk-pci",
}


def command_line(
    name: str,
    directory: Path,
    *,
    disks: Sequence[Path],
    nic: Nic,
    hardware: Hardware,
    emulator: Emulator,
    disc: Path | None,
    control: str,
) -> list[str]:
    """The words; `control` is the character device for QMP, called qmp. Console and variables are in `directory`."""
    command = [
        *emulator.command,
        *("-name", name, "-no-user-config", "-nodefaults", "-vga", "std", "-display", "none"),
        *emulator.arguments,
        *("-smp", str(hardware.cores), "-m", str(hardware.memory_mb)),
        *("-object", "rng-random,id=rng0,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=rng0"),
        *("-chardev", control, "-mon", "chardev=qmp,mode=control"),
        *("-chardev", f"file,id=console,path={directory / 'console.log'}", "-serial", "chardev:console"),
        *("-netdev", f"{nic.backend()}id=net0"),
        *("-device", f"{hardware.network_card},netdev=net0,mac={nic.mac},romfile="),
        # On other buses as well, for disks that are plugged in later.
        *("-device", "pvscsi,id=scsi0"),
    ]
    for table in hardware.identity:
        command += ["-smbios", table]
    if hardware.firmware == "efi":
        command += _efi_variables(directory)
    for index, image in enumerate(disks):
        node = f"disk{index}"
        device = _DISK_DEVICE[hardware.bus].format(index=index)
        command += ["-blockdev", json.dumps({"node-name": node, **block_device(image, hardware.cache)})]
        command += ["-device", f"{device},drive={node},id={node}-drive,bootindex={index}"]
    if disc is not None:
        medium = {"driver": "file", "filename": str(disc)}
        command += ["-blockdev", json.dumps({"node-name": "disc", "driver": "raw", "read-only": True, "file": medium})]
        command += ["-device", "ide-cd,drive=disc,id=drive0"]
    return command


def block_device(image: Path, cache_mode: CacheMode) -> dict[str, object]:
    """What opens `image`, for -blockdev and blockdev-add."""
    cache = {"no-flush": cache_mode == CacheMode.THROW_AWAY, "direct": False}
    return {
        "driver": "raw" if image.suffix == ".raw" else "qcow2",
        "discard": "unmap",
        "cache": cache,
        "file": {"driver": "file", "filename": str(image), "discard": "unmap", "cache": cache},
    }


def _efi_variables(directory: Path) -> list[str]:
    """Arguments for OVMF, with variables of this machine's own."""
    code, template = _OVMF / "OVMF_CODE_4M.fd", _OVMF / "OVMF_VARS_4M.fd"
    if not code.exists():
        raise MissingTool(f"{code} is missing", hint="apt-get install ovmf")
    variables = directory / "efi-variables.fd"
    if not variables.exists():
        shutil.copyfile(template, variables)
    drive = "if=pflash,format=raw"
    return ["-drive", f"{drive},readonly=on,file={code}", "-drive", f"{drive},file={variables}"]
