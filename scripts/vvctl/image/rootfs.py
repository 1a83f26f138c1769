"""Phase 1: the pristine Debian root file system, made by mmdebstrap."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from vvctl.appliance import Appliance
from vvctl.image.fingerprint import Stamp, fingerprint
from vvctl.image.run import run
from vvctl.image.sources import KEYRING, AptSource, sources_file
from vvctl.image.workspace import Source, Workspace, remove_tree

PACKAGES = Path(__file__).with_name("packages.txt")
# The disk controllers of the platforms, whatever the build machine's own may be.
DISK_MODULES = (
    "vmw_pvscsi",
    "nvme",
    "virtio_blk",
    "virtio_scsi",
    "xen-blkfront",
    "ahci",
    "sd_mod",
    "ext4",
)
# Nobody reads them on an appliance; copyright files stay, the licences demand it.
LEFT_OUT = ("/usr/share/man/*", "/usr/share/locale/*", "/usr/share/doc/*", "/usr/share/info/*")
KEPT = ("/usr/share/doc/*/copyright", "/usr/share/locale/locale.alias")

_NETWORK = """\
[Match]
Name=en* eth*
Virtualization=!container

[Network]
DHCP=yes
"""


def read_packages(path: Path = PACKAGES) -> list[str]:
    """The names in a package list; `#` starts a comment."""
    lines = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


def rootfs_fingerprint(appliance: Appliance, sources: Sequence[AptSource]) -> str:
    """What the root file system is made from: this code, the package list, the suite and the sources."""
    system = appliance.os.model_dump_json(include={"suite", "architecture", "kernel_package"})
    return fingerprint(
        paths=[PACKAGES, Path(__file__)],
        texts=[system, sources_file(sources), appliance.disks.data.mount, appliance.product.name],
    )


def build_rootfs(workspace: Workspace, appliance: Appliance, sources: Sequence[AptSource], source: Source) -> bool:
    """Make `workspace.rootfs`, unless what is there came from the same inputs; tell whether it was made.

    Raises CommandFailed when mmdebstrap fails; nothing half-made is left then.
    """
    stamp = Stamp(workspace.stamps, "rootfs")
    wanted = rootfs_fingerprint(appliance, sources)
    if workspace.rootfs.is_dir() and stamp.matches(wanted):
        return False
    stamp.clear()
    remove_tree(workspace.rootfs)
    partial = workspace.build / "rootfs.partial"
    remove_tree(partial)
    with tempfile.TemporaryDirectory(prefix="vv-rootfs-") as scratch:
        overlay = _overlay(Path(scratch) / "overlay", appliance, sources)
        hook = _finish_script(Path(scratch) / "finish", appliance)
        try:
            run(
                [
                    "mmdebstrap",
                    "--mode=root",
                    "--variant=minbase",
                    "--components=main",
                    f"--architectures={appliance.os.architecture}",
                    f"--keyring={KEYRING}",
                    '--aptopt=APT::Install-Recommends "false"',
                    '--aptopt=Acquire::Languages "none"',
                    '--aptopt=Acquire::Retries "5"',
                    *(f"--dpkgopt=path-exclude={path}" for path in LEFT_OUT),
                    *(f"--dpkgopt=path-include={path}" for path in KEPT),
                    f"--include={','.join([*read_packages(), appliance.os.kernel_package])}",
                    # Before the packages: the initramfs is then made once, and right.
                    f'--essential-hook=cp -rT {overlay}/before "$1"',
                    f'--customize-hook=cp -rT {overlay}/after "$1"',
                    f'--customize-hook={hook} "$1"',
                    appliance.os.suite,
                    partial,
                    *(line for entry in sources for line in entry.lines),
                ],
                env=source.environment,
                log=workspace.logs / "rootfs.log",
            )
        except BaseException:
            remove_tree(partial)
            raise
    # There are no package lists; Ansible takes this folder's date for theirs and would not fetch any.
    os.utime(partial / "var/lib/apt/lists", (0, 0))
    partial.rename(workspace.rootfs)
    stamp.write(wanted)
    return True


def _write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def _overlay(folder: Path, appliance: Appliance, sources: Sequence[AptSource]) -> Path:
    """Files that go into the root file system `before` and `after` its packages."""
    before, after = folder / "before", folder / "after"
    _write(before / "etc/kernel-img.conf", "do_symlinks = yes\nlink_in_boot = yes\n")
    _write(before / "etc/initramfs-tools/conf.d/appliance", "MODULES=most\nCOMPRESS=zstd\n")
    _write(before / "usr/share/initramfs-tools/modules.d/appliance", "".join(f"{name}\n" for name in DISK_MODULES))
    name = appliance.product.name
    _write(after / "etc/hostname", f"{name}\n")
    _write(after / "etc/hosts", f"127.0.0.1 localhost\n127.0.1.1 {name}\n::1 localhost ip6-localhost ip6-loopback\n")
    _write(after / "etc/apt/sources.list.d/debian.sources", sources_file(sources))
    _write(after / "etc/systemd/network/80-dhcp.network", _NETWORK)
    return folder


def _finish_script(path: Path, appliance: Appliance) -> Path:
    """The hook that runs last: services on, identity out."""
    mount = appliance.disks.data.mount
    path.write_text(
        f"""#!/bin/sh
set -eu
root=$1
rm -f "$root/etc/apt/sources.list" "$root"/etc/apt/sources.list.d/0*
chroot "$root" systemctl enable systemd-networkd systemd-resolved ssh
: > "$root/etc/machine-id"
rm -f "$root/var/lib/dbus/machine-id" "$root"/etc/ssh/ssh_host_*
: > "$root/etc/fstab"
install -d -m 0755 "$root{mount}"
chroot "$root" lsinitramfs /boot/initrd.img > "$root.initramfs"
for module in {" ".join(DISK_MODULES)}; do
    grep -q "/$module\\.ko" "$root.initramfs" ||
        grep -qs "/$module\\.ko" "$root"/lib/modules/*/modules.builtin ||
        {{ echo "the initramfs lacks $module" >&2; exit 1; }}
done
rm "$root.initramfs"
""",
        encoding="utf-8",
    )
    path.chmod(0o755)
    return path
