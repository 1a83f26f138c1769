"""What turns a provisioned root file system into one that may be copied to every customer."""

from __future__ import annotations

from pathlib import Path

from vvctl.appliance import Appliance
from vvctl.errors import VvctlError
from vvctl.image import grub
from vvctl.image.disks import fstab
from vvctl.image.workspace import remove_tree

# Identity, traces of the build and secrets: no two machines may share them.
UNWANTED = (
    "etc/ssh/ssh_host_*",
    "root/.ssh/*",
    "root/.bash_history",
    "root/.ansible",
    "var/lib/systemd/random-seed",
    "var/lib/cloud/instances/*",
    "var/log/journal/*",
    "var/lib/apt/lists/*_*",
    "var/cache/apt/archives/*.deb",
    "var/lib/postgresql/*/*",
    "mnt/*",
    "tmp/*",
)


class UncleanImage(VvctlError):
    """The image still holds something that belongs to this build or to one machine."""

    code = "unclean_image"


def seal(rootfs: Path, appliance: Appliance) -> None:
    """Take the container's traces out and put the boot configuration in.

    Raises UncleanImage when the data mount point is not empty, or an account has a password.
    """
    # What runs in a container in these is mounted over on a real machine; they are only mount points there.
    for name in ("dev", "proc", "sys", "run", "tmp"):
        _empty(rootfs / name)
    (rootfs / "etc/machine-id").write_text("", encoding="utf-8")
    for pattern in ("etc/ssh/ssh_host_*", "root/.ssh/authorized_keys"):
        for path in rootfs.glob(pattern):
            path.unlink()
    make_bootable(rootfs, appliance)
    check(rootfs, appliance)


def make_bootable(rootfs: Path, appliance: Appliance) -> None:
    """Write what only a machine of its own needs: name service, fstab and the boot menu."""
    resolver = rootfs / "etc/resolv.conf"
    resolver.unlink(missing_ok=True)
    resolver.symlink_to("../run/systemd/resolve/stub-resolv.conf")
    (rootfs / "etc/fstab").write_text(fstab(appliance), encoding="utf-8")
    loader = rootfs / "boot/grub"
    loader.mkdir(exist_ok=True)
    (loader / "grub.cfg").write_text(grub.menu(appliance.product.title, appliance.disks.system.label), encoding="utf-8")


def check(rootfs: Path, appliance: Appliance) -> None:
    """Raise UncleanImage that lists everything which must not leave this machine."""
    found = sorted(str(path.relative_to(rootfs)) for pattern in UNWANTED for path in rootfs.glob(pattern))
    mount = rootfs / appliance.disks.data.mount.removeprefix("/")
    found += [str(path.relative_to(rootfs)) for path in mount.iterdir()]
    shadow = (rootfs / "etc/shadow").read_text(encoding="utf-8")
    found += [
        f"a password of {line.partition(':')[0]} in etc/shadow"
        for line in shadow.splitlines()
        if line.split(":")[1][:1] not in {"*", "!"}
    ]
    # As a link to the other one, which systemd makes, it is no identity of its own.
    dbus_id = rootfs / "var/lib/dbus/machine-id"
    if dbus_id.exists() and not dbus_id.is_symlink():
        found.append("var/lib/dbus/machine-id")
    if (rootfs / "etc/machine-id").read_bytes():
        found.append("etc/machine-id")
    if found:
        raise UncleanImage(
            "the provisioned image holds what must not be in it: " + ", ".join(found),
            hint="role sysprep removes the traces of provisioning: look there first",
        )


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        remove_tree(path)
