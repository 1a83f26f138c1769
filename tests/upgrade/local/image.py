"""OVAs of a guest that boots in seconds: Debian's kernel, one program, and a data disk with records on it."""

from __future__ import annotations

import gzip
import json
import lzma
import os
import shutil
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.doubles.appliance import Behaviour, Data, Version
from vvctl.appliance import Appliance
from vvctl.errors import ConfigurationError
from vvctl.image import disks, grub, ova, ovf, vmdk
from vvctl.image.ext4 import MIB
from vvctl.image.run import run

# In the order in which they need each other.
_MODULES = (
    *("drivers/block/virtio_blk", "net/core/failover", "drivers/net/net_failover", "drivers/net/virtio_net"),
    *("drivers/input/evdev", "drivers/acpi/button"),
)
_LABEL = "tiny"
_SYSTEM_MIB, _DATA_MIB, _BIOS_MIB = 48, 32, 1
_MENU = """\
set timeout=0
menuentry tiny {{
  linux /boot/vmlinuz console=ttyS0,115200 quiet mitigations=off no_timer_check {settings}
  initrd /boot/initrd.img
}}
"""
_SOURCE = Path(__file__).parents[2] / "doubles/appliance/guest/main.go"


@dataclass(frozen=True)
class Builder:
    """Makes them in `folder`, with the kernel of the image that was built in the checkout `root`."""

    folder: Path
    root: Path
    appliance: Appliance

    def ova(self, version: Version, behaviour: Behaviour = Behaviour.HEALTHY) -> Path:
        """The OVA of a version that behaves so; made once."""
        made = self.folder / f"{version.number}-{behaviour}" / "tiny.ova"
        if made.exists():
            return made
        made.parent.mkdir(parents=True)
        boot = self._boot_files()
        settings = (
            f"vv.version={version.number} vv.epoch={version.format_epoch} vv.schema={version.schema_revision} "
            f"vv.behaviour={behaviour}"
        )
        (boot / "boot/grub/grub.cfg").write_text(_MENU.format(settings=settings), encoding="utf-8")
        raw = {"system": self._system(made.parent, boot), "data": self._data(made.parent)}
        described = []
        for number, path in enumerate(raw.values(), start=1):
            target = path.with_suffix(".vmdk")
            vmdk.convert(path, target, number)
            described.append(ovf.Disk(target.name, target.stat().st_size, path.stat().st_size, 0))
            path.unlink()
        document = self.appliance.model_dump()
        document["product"]["version"] = version.number
        document["disks"]["data"]["format_epoch"] = version.format_epoch
        declared = Appliance.model_validate(document)
        descriptor = ovf.descriptor(declared, described, full_version=version.number, eula="none")
        ova.write(made, descriptor, [made.parent / disk.file_name for disk in described], 0)
        return made

    @property
    def _kernel(self) -> Path:
        return self.root / "build/rootfs/boot/vmlinuz"

    def _boot_files(self) -> Path:
        """What every system disk holds, but for its menu."""
        files = self.folder / "boot-files"
        if not self._kernel.exists():
            raise ConfigurationError(f"there is no {self._kernel}", hint="build the image first: make image")
        if not files.exists():
            unfinished = self.folder / "boot-files.part"
            shutil.rmtree(unfinished, ignore_errors=True)
            (unfinished / "boot/grub").mkdir(parents=True)
            shutil.copyfile(self._kernel, unfinished / "boot/vmlinuz")
            (unfinished / "boot/initrd.img").write_bytes(gzip.compress(self._initramfs(), 1))
            unfinished.rename(files)
        return files

    def _initramfs(self) -> bytes:
        program = self.folder / "init"
        # Without a module of its own: it needs nothing but the standard library.
        environment = os.environ | {"CGO_ENABLED": "0", "GO111MODULE": "off", "GOFLAGS": ""}
        command = ["go", "build", "-ldflags=-s -w", "-o", program, _SOURCE]
        subprocess.run(command, env=environment, check=True)
        version = self._kernel.resolve().name.removeprefix("vmlinuz-")
        modules = self.root / "build/rootfs/usr/lib/modules" / version / "kernel"
        members = [("init", 0o100755, program.read_bytes()), ("modules", 0o40755, b""), ("dev", 0o40755, b"")]
        for number, module in enumerate(_MODULES):
            content = lzma.decompress((modules / f"{module}.ko.xz").read_bytes())
            members.append((f"modules/{number:02}-{Path(module).name}.ko", 0o100644, content))
        return b"".join(_member(*member) for member in members) + _member("TRAILER!!!", 0, b"")

    def _system(self, folder: Path, content: Path) -> Path:
        disk = folder / "system.raw"
        _allocate(disk, _SYSTEM_MIB)
        start, size = 1 + _BIOS_MIB, _SYSTEM_MIB - _BIOS_MIB - 2
        run(
            ["sfdisk", "--quiet", disk],
            stdin=f"label: gpt\nstart={1 * disks.SECTORS_PER_MIB}, size={_BIOS_MIB * disks.SECTORS_PER_MIB}, "
            f"type={disks.BIOS_BOOT}\nstart={start * disks.SECTORS_PER_MIB}, size={size * disks.SECTORS_PER_MIB}, "
            f"type={disks.LINUX_ROOT_X86_64}\n",
        )
        _file_system(disk, _LABEL, size, offset_mib=start, content=content)
        core, _ = grub.make_images(folder, _LABEL)
        grub.embed(
            disk,
            (grub.BIOS_DIRECTORY / "boot.img").read_bytes(),
            core.read_bytes(),
            first_sector=disks.SECTORS_PER_MIB,
            sectors=_BIOS_MIB * disks.SECTORS_PER_MIB,
        )
        return disk

    def _data(self, folder: Path) -> Path:
        content = folder / "content"
        content.mkdir()
        (content / "records.json").write_bytes(encoded(Data()))
        disk = folder / "data.raw"
        _allocate(disk, _DATA_MIB)
        _file_system(disk, "vv-data", _DATA_MIB, content=content)
        return disk


def encoded(data: Data) -> bytes:
    """As it stands on a data disk."""
    return json.dumps(asdict(data)).encode()


def _allocate(path: Path, size_mib: int) -> None:
    with path.open("wb") as file:
        file.truncate(size_mib * MIB)


def _file_system(disk: Path, label: str, size_mib: int, *, offset_mib: int = 0, content: Path) -> None:
    # Without a journal all that was synchronised is in its place, so that it can be read beside the running guest.
    run([
        *("mke2fs", "-q", "-F", "-b", "4096", "-t", "ext4", "-O", "^has_journal", "-L", label, "-d", content),
        *("-E", f"offset={offset_mib * MIB}", disk, f"{size_mib}M"),
    ])  # fmt: skip


def _member(name: str, mode: int, content: bytes) -> bytes:
    """A file in a cpio archive of the new ASCII format (Linux: Documentation/driver-api/early-userspace)."""
    path = name.encode() + b"\0"
    fields = (0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(path), 0)
    header = b"070701" + b"".join(b"%08X" % field for field in fields)
    padded = header + path
    padded += bytes(-len(padded) % 4)
    return padded + content + bytes(-len(content) % 4)
