"""The image as it is handed out, before its first boot: nothing of the build and nothing of one machine is in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vvctl.appliance import Appliance
from vvctl.machine import PackagedDisks
from vvctl.machine.errors import run

from .inspect_disk import FileSystem

IMMUTABLE = 0x10


@pytest.fixture(scope="module")
def system(packaged: PackagedDisks, work: Path) -> FileSystem:
    return FileSystem(_raw(packaged.system, work), partitioned=True)


@pytest.fixture(scope="module")
def data(packaged: PackagedDisks, work: Path) -> FileSystem:
    return FileSystem(_raw(packaged.data, work), partitioned=False)


def _raw(image: Path, work: Path) -> Path:
    raw = work / f"{image.stem}.raw"
    run(["qemu-img", "convert", "-O", "raw", str(image), str(raw)], package="qemu-utils")
    return raw


def test_has_no_ssh_host_key(system: FileSystem) -> None:
    assert [name for name in system.names("/etc/ssh") if name.startswith("ssh_host_")] == []


def test_has_no_identity(system: FileSystem) -> None:
    assert (system.text("/etc/machine-id") or "").strip() in {"", "uninitialized"}
    assert not system.text("/var/lib/dbus/machine-id") or "machine-id" in system.names("/var/lib/dbus")
    assert not system.exists("/var/lib/systemd/random-seed")


def test_lets_nobody_in(system: FileSystem) -> None:
    passwords = dict(line.split(":")[:2] for line in (system.text("/etc/shadow") or "").splitlines())
    assert passwords
    assert {account: word for account, word in passwords.items() if word not in {"*", "!", "!*", "!!"}} == {}
    homes = ["/root", *(f"/home/{name}" for name in system.names("/home"))]
    assert [home for home in homes if "authorized_keys" in system.names(f"{home}/.ssh")] == []
    assert system.names("/etc/ssh/authorized_keys.d") == []


def test_has_no_build_account(system: FileSystem) -> None:
    accounts = [line.split(":") for line in (system.text("/etc/passwd") or "").splitlines()]
    assert {name: int(number) for name, _, number, *_ in accounts if 1000 <= int(number) < 65534} == {"admin": 1000}


def test_has_no_logs_and_no_leftovers(system: FileSystem) -> None:
    logs = {path: size for path, size in system.files("/var/log").items() if size}
    assert logs == {}
    assert system.files("/tmp") == {}  # noqa: S108 (the image's)
    assert system.files("/var/tmp") == {}  # noqa: S108
    assert [name for name in system.names("/var/cache/apt/archives") if name.endswith(".deb")] == []
    assert [name for name in system.names("/root") if re.search(r"history|\.ansible|\.cache", name)] == []


def test_mount_point_of_the_data_disk_is_empty_and_immutable(system: FileSystem, appliance: Appliance) -> None:
    mount = appliance.disks.data.mount
    assert system.names(mount) == []
    assert system.flags(mount) & IMMUTABLE


def test_data_disk_is_formatted_and_empty(data: FileSystem) -> None:
    assert data.names("/") == ["lost+found"]
    assert data.files("/") == {}
