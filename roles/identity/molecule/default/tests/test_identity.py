"""What role identity leaves in a running machine. /data of the container stands for the data disk."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import pytest
from testinfra.host import Host

testinfra_hosts = ["podman://voice-verify-identity"]
KEYS = "/etc/ssh/ssh_host_ed25519_key", "/etc/ssh/ssh_host_ecdsa_key"
MARK, SET_HERE = "/etc/voice-verify/identity.json", "/etc/voice-verify/set-here.json"
# The disk of the tests below, mounted as the real one is.
MOUNT = "[Mount]\nWhat=/var/tmp/data\nWhere=/data\nOptions=bind\n"


def show(host: Host, unit: str, name: str) -> str:
    return host.check_output("systemctl show --property=%s --value %s", name, unit)


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def fingerprints(host: Host) -> list[str]:
    return [host.check_output("ssh-keygen -lf %s", path) for path in KEYS]


@pytest.fixture(scope="module", autouse=True)
def first(host: Host) -> Iterator[list[str]]:
    """A new machine has started once, with a new data disk; its host keys."""
    # Another file system, as a disk is: the program tells by that whether it is mounted.
    host.check_output("mkdir -p /var/tmp/data && mount -t tmpfs data /var/tmp/data && umount /data")
    host.check_output("printf %s > /etc/systemd/system/data.mount", MOUNT)
    host.check_output("systemctl daemon-reload")
    host.check_output(f"rm -f {MARK}; rm -f /etc/ssh/ssh_host_*; mkdir -p /etc/voice-verify")
    host.check_output("systemctl restart vv-identity")
    # It was waited for by the program, not by an order of units.
    assert host.run("mountpoint -q /data").rc == 0
    assert "makes its own and keeps it there" in host.check_output("journalctl --unit vv-identity --output cat")
    assert not host.file(MARK).exists
    for path, kind in zip(KEYS, ("ed25519", "ecdsa"), strict=True):
        host.check_output(f"ssh-keygen -q -t {kind} -N '' -f {path}")
    host.check_output("systemctl restart vv-identity-keep")
    yield fingerprints(host)
    host.run("systemctl stop data.mount")


def test_machine_with_an_identity_never_waits_for_the_data_disk(host: Host) -> None:
    for unit in ("data.mount", "vv-data-disk.service"):
        assert unit not in show(host, "vv-identity", "After").split()
    assert host.file(MARK).exists
    host.check_output("systemctl restart vv-identity")
    assert show(host, "vv-identity", "ConditionResult") == "no"


def test_it_is_there_before_those_that_need_it(host: Host) -> None:
    before = show(host, "vv-identity", "Before").split()
    assert {"ssh.service", "sshd-keygen.service", "vv-setup.service", "network-pre.target"} <= set(before)


def test_kept_for_root_only(host: Host) -> None:
    assert host.file("/data/identity").mode == 0o700
    assert host.check_output("find -L /data/identity -type f -perm /077") == ""


def test_change_reaches_the_data_disk_by_itself(host: Host) -> None:
    host.check_output("systemctl restart vv-identity-keep.path")
    host.check_output(f"echo '{{}}' > {SET_HERE}.new && mv {SET_HERE}.new {SET_HERE}")
    kept = host.file("/data/identity/current/set-here.json")
    until(lambda: kept.exists)
    host.check_output(f"rm {SET_HERE}")
    until(lambda: not kept.exists)


def test_new_system_disk_is_the_same_machine(host: Host, first: list[str]) -> None:
    machine_id = host.check_output("cat /etc/machine-id")
    host.check_output("mkdir -p /var/log/journal && systemd-cat echo before the upgrade && journalctl --sync")
    # As a new system disk is: an id of this start, no keys, and nobody who watches them so early.
    host.check_output("systemctl stop vv-identity-keep.path vv-identity-keep.service")
    host.check_output(f"rm {MARK} /etc/ssh/ssh_host_* && systemctl stop data.mount")
    host.check_output("systemd-id128 new > /etc/machine-id.new && chmod 444 /etc/machine-id.new")
    host.check_output("mv /etc/machine-id.new /etc/machine-id && systemctl restart systemd-journald")
    host.check_output("systemd-cat echo first lines of the new system && journalctl --sync")
    host.check_output("systemctl restart vv-identity")
    assert fingerprints(host) == first
    assert host.check_output("cat /etc/machine-id") == machine_id
    assert host.file("/etc/ssh/ssh_host_ed25519_key").mode == 0o600
    host.check_output("sshd -t")
    assert json.loads(host.file("/run/voice-verify/identity.json").content_string)["state"] == "taken"
    # journald writes where it wrote before, and shows all of it without an option.
    host.check_output("systemd-cat echo later lines && journalctl --sync")
    text = host.check_output("journalctl --output cat")
    assert "before the upgrade" in text
    assert "later lines" in text


def test_later_starts_do_nothing(host: Host) -> None:
    before = host.check_output("stat -c %%i /data/identity/current/seal.json")
    host.check_output("systemctl restart vv-identity vv-identity-keep")
    assert host.check_output("stat -c %%i /data/identity/current/seal.json") == before


@pytest.mark.parametrize("unit", ["vv-identity", "vv-identity-keep"])
def test_unit_is_sandboxed(host: Host, unit: str) -> None:
    report = host.check_output("systemd-analyze security --no-pager %s.service", unit)
    assert float(report.splitlines()[-1].split(":")[1].split()[0]) < 3.0


def test_units_are_sound(host: Host) -> None:
    units = "vv-identity.service vv-identity-keep.service vv-identity-keep.path"
    done = host.run(f"cd /etc/systemd/system && systemd-analyze verify --man=no {units}")
    assert done.rc == 0, done.stderr
