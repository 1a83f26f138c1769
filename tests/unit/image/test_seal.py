from __future__ import annotations

from pathlib import Path

import pytest

from vvctl.appliance import Appliance
from vvctl.image.disks import fstab
from vvctl.image.seal import UncleanImage, seal


@pytest.fixture
def rootfs(tmp_path: Path, appliance: Appliance) -> Path:
    for folder in ("boot", "dev", "proc", "sys", "run", "tmp", "mnt", "root/.ssh", "etc/ssh"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / appliance.disks.data.mount.removeprefix("/")).mkdir()
    (tmp_path / "etc/shadow").write_text("root:*:1::::::\ndaemon:!:1::::::\n")
    (tmp_path / "etc/machine-id").write_text("0123456789abcdef\n")
    (tmp_path / "etc/ssh/ssh_host_ed25519_key").touch()
    (tmp_path / "root/.ssh/authorized_keys").touch()
    (tmp_path / "run/lock").mkdir()
    return tmp_path


def test_takes_identity_out_and_the_boot_configuration_in(rootfs: Path, appliance: Appliance) -> None:
    seal(rootfs, appliance)
    assert (rootfs / "etc/machine-id").read_bytes() == b""
    assert list((rootfs / "etc/ssh").iterdir()) == list((rootfs / "root/.ssh").iterdir()) == []
    assert list((rootfs / "run").iterdir()) == []
    assert (rootfs / "etc/fstab").read_text() == fstab(appliance)
    assert appliance.disks.system.label in (rootfs / "boot/grub/grub.cfg").read_text()


@pytest.mark.parametrize(
    "path", ["root/.bash_history", "var/lib/cloud/instances/i-1", "var/log/journal/x", "mnt/wheelhouse", "root/.ssh/id"]
)
def test_refuses_traces_of_the_build(path: str, rootfs: Path, appliance: Appliance) -> None:
    (rootfs / path).parent.mkdir(parents=True, exist_ok=True)
    (rootfs / path).touch()
    with pytest.raises(UncleanImage, match=path):
        seal(rootfs, appliance)


def test_refuses_data_below_the_mount_point(rootfs: Path, appliance: Appliance) -> None:
    (rootfs / appliance.disks.data.mount.removeprefix("/") / "postgresql").mkdir()
    with pytest.raises(UncleanImage, match="postgresql"):
        seal(rootfs, appliance)


@pytest.mark.parametrize("password", ["", "$y$j9T$abc"])
def test_refuses_an_account_with_a_password_or_without_any(password: str, rootfs: Path, appliance: Appliance) -> None:
    (rootfs / "etc/shadow").write_text(f"root:*:1::::::\nadmin:{password}:1::::::\n")
    with pytest.raises(UncleanImage, match="password of admin"):
        seal(rootfs, appliance)
