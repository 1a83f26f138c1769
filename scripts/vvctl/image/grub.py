"""The boot loader for BIOS and UEFI, put into a raw disk without mounting anything."""

from __future__ import annotations

import struct
from pathlib import Path

from vvctl.errors import IntegrityError
from vvctl.image.run import run

SECTOR = 512
# Offsets in i386-pc/boot.img and core.img: GRUB's include/grub/i386/pc/boot.h and grub-core/boot/i386/pc/diskboot.S.
_KERNEL_SECTOR = 0x5C
_DRIVE_CHECK = 0x66
_CODE_BYTES = 440
_BLOCK_LIST = 500

MODULES = (
    "part_gpt", "ext2", "fat", "search", "search_label", "normal", "linux", "configfile", "echo", "test",
    "serial", "terminal", "boot", "minicmd", "ls", "cat", "gzio", "sleep", "reboot", "halt",
)  # fmt: skip
UEFI_MODULES = ("efi_gop", "all_video")
BIOS_DIRECTORY = Path("/usr/lib/grub/i386-pc")

# A machine without a serial port must still get a menu on its screen.
_MENU = """\
set timeout=1
set default=0
if serial --unit=0 --speed=115200; then
  terminal_input console serial
  terminal_output console serial
fi
menuentry "{title}" {{
  linux /boot/vmlinuz root=LABEL={label} ro console=tty0 console=ttyS0,115200 nvme_core.io_timeout=4294967295
  initrd /boot/initrd.img
}}
"""

_FIND_MENU = """\
search --no-floppy --label {label} --set root
set prefix=($root)/boot/grub
configfile /boot/grub/grub.cfg
"""


def menu(title: str, label: str) -> str:
    """Content of /boot/grub/grub.cfg: one entry that finds its root file system by `label`."""
    return _MENU.format(title=title.replace('"', ""), label=label)


def make_images(folder: Path, label: str) -> tuple[Path, Path]:
    """Make GRUB's images that look for the file system `label`: (core.img for BIOS, BOOTX64.EFI for UEFI)."""
    early = folder / "early.cfg"
    early.write_text(_FIND_MENU.format(label=label), encoding="utf-8")
    core, efi = folder / "core.img", folder / "BOOTX64.EFI"
    common = ["--prefix=/boot/grub", f"--config={early}"]
    run(["grub-mkimage", "--format=i386-pc", *common, f"--output={core}", "biosdisk", *MODULES])
    run(["grub-mkimage", "--format=x86_64-efi", *common, f"--output={efi}", *UEFI_MODULES, *MODULES])
    return core, efi


def embed(disk: Path, boot_image: bytes, core_image: bytes, *, first_sector: int, sectors: int) -> None:
    """Write GRUB for BIOS: `boot_image` into the first sector, `core_image` into a BIOS boot partition.

    What grub-bios-setup does, which needs the disk as a block device. The partition table in the first sector stays.
    Raises IntegrityError when an image has not the expected size.
    """
    if len(boot_image) != SECTOR:
        raise IntegrityError(f"GRUB's boot.img has {len(boot_image)} bytes instead of {SECTOR}")
    core = bytearray(core_image) + bytes(-len(core_image) % SECTOR)
    needed = len(core) // SECTOR
    if needed > sectors:
        raise IntegrityError(f"GRUB's core image needs {needed} sectors, its partition has {sectors}")
    boot = bytearray(boot_image)
    struct.pack_into("<Q", boot, _KERNEL_SECTOR, first_sector)
    # Two NOPs instead of the jump: trust the drive number that the BIOS hands over.
    boot[_DRIVE_CHECK : _DRIVE_CHECK + 2] = b"\x90\x90"
    # The last block list entry of the first core sector (start, length, segment) says where the rest lies.
    segment = struct.unpack_from("<QHH", core, _BLOCK_LIST)[2]
    struct.pack_into("<QHH", core, _BLOCK_LIST, first_sector + 1, needed - 1, segment)
    with disk.open("r+b") as target:
        table = target.read(SECTOR)[_CODE_BYTES:]
        target.seek(0)
        target.write(bytes(boot[:_CODE_BYTES]) + table)
        target.seek(first_sector * SECTOR)
        target.write(core)
