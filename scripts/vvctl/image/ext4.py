"""Make and inspect ext4 file systems inside files, with the e2fsprogs of the guest.

e2fsprogs writes the same bytes for the same input from 1.47.2 on; the build host may have an older one, the guest's
root file system has a newer one, which runs here through its own dynamic loader, without chroot.
"""

from __future__ import annotations

from pathlib import Path

from vvctl.errors import IntegrityError
from vvctl.image.run import run

MIB = 1 << 20
_LOADER = "lib64/ld-linux-x86-64.so.2"
_LIBRARIES = "usr/lib/x86_64-linux-gnu"
# EXT4_IMMUTABLE_FL and EXT4_EXTENTS_FL (fs/ext4/ext4.h).
_IMMUTABLE, _EXTENTS = 0x10, 0x80000


class E2fsprogs:
    """The e2fsprogs of a root file system, or with None the build host's own."""

    def __init__(self, rootfs: Path | None, environment: dict[str, str]) -> None:
        self._rootfs = rootfs
        self._environment = dict(environment)
        if rootfs is not None:
            self._environment["MKE2FS_CONFIG"] = str(rootfs / "etc/mke2fs.conf")

    def _run(self, tool: str, *arguments: str | Path) -> str:
        command: list[str | Path] = [tool]
        if self._rootfs is not None:
            program = next(p for p in (self._rootfs / "usr/sbin" / tool, self._rootfs / "sbin" / tool) if p.exists())
            command = [self._rootfs / _LOADER, "--library-path", self._rootfs / _LIBRARIES, program]
        return run([*command, *arguments], env=self._environment)

    def make(
        self,
        target: Path,
        *,
        label: str,
        uuid: str,
        hash_seed: str,
        size_mib: int,
        offset_mib: int = 0,
        content: Path | None = None,
        journal_mib: int,
    ) -> None:
        """Make a file system of `size_mib` at `offset_mib` of the zero-filled file `target`, with `content` in it."""
        self._run(
            "mke2fs", "-q", "-F", "-t", "ext4", "-L", label, "-U", uuid,
            # One percent: enough for root to clean up, little enough on a large disk.
            "-m", "1", "-J", f"size={journal_mib}",
            "-E", f"offset={offset_mib * MIB},hash_seed={hash_seed},root_owner=0:0,assume_storage_prezeroed=1",
            *(["-d", str(content)] if content is not None else []),
            target, f"{size_mib}M",
        )  # fmt: skip

    def make_immutable(self, target: Path, directory: str, *, offset_mib: int) -> None:
        """Forbid every change below an empty directory, as chattr +i does.

        Raises IntegrityError when it did not take.
        """
        device = f"{target}?offset={offset_mib * MIB}"
        self._run("debugfs", "-w", "-R", f"set_inode_field {directory} flags {_IMMUTABLE | _EXTENTS:#x}", device)
        stat = self._run("debugfs", "-R", f"stat {directory}", device)
        if f"Flags: {_IMMUTABLE | _EXTENTS:#x}" not in stat:
            raise IntegrityError(f"{directory} in {target.name} could not be made immutable")

    def check(self, target: Path, *, offset_mib: int = 0) -> None:
        """Raise CommandFailed when e2fsck finds anything to repair."""
        self._run("e2fsck", "-f", "-n", f"{target}?offset={offset_mib * MIB}")
