"""What role base leaves in a running machine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from testinfra.host import Host

from vvctl.appliance import find_root, load

testinfra_hosts = ["podman://voice-verify-base"]
ACCOUNTS = load(find_root(Path(__file__).parent) / "appliance.yml").accounts


@pytest.mark.parametrize(("name", "number"), ACCOUNTS.items())
def test_services_have_the_numbers_that_their_files_keep(host: Host, name: str, number: int) -> None:
    account = host.user(name)
    assert (account.uid, account.gid, account.shell) == (number, number, "/usr/sbin/nologin")


def test_no_account_has_a_password(host: Host) -> None:
    with host.sudo():
        shadow = host.file("/etc/shadow").content_string
    assert [line for line in shadow.splitlines() if line.split(":")[1][:1] not in "*!"] == []


def test_administrator_becomes_root_without_a_password(host: Host) -> None:
    assert host.run("runuser -u admin -- sudo -n id -u").stdout.strip() == "0"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("passwordauthentication", "no"),
        ("kbdinteractiveauthentication", "no"),
        ("permitrootlogin", "without-password"),
        ("authorizedkeysfile", ".ssh/authorized_keys /etc/ssh/authorized_keys.d/%u"),
        ("authenticationmethods", "publickey"),
        ("disableforwarding", "yes"),
        ("x11forwarding", "no"),
        ("requiredrsasize", "2048"),
        ("loglevel", "VERBOSE"),
        ("banner", "/etc/issue.net"),
    ],
)
def test_ssh_takes_keys_only(host: Host, option: str, value: str) -> None:
    host.check_output("systemctl start sshd-keygen")
    assert f"{option} {value}" in host.check_output("sshd -T").splitlines()


@pytest.mark.parametrize("option", ["kexalgorithms", "ciphers", "macs", "pubkeyacceptedalgorithms"])
def test_ssh_offers_no_weak_algorithm(host: Host, option: str) -> None:
    settings = dict(line.split(" ", 1) for line in host.check_output("sshd -T").splitlines())
    offered = settings[option].split(",")
    assert [name for name in offered if name in ("ssh-rsa", "ssh-dss") or re.search("sha1|md5|cbc|umac-64", name)] == []


def test_first_boot_makes_host_keys_that_the_server_takes(host: Host) -> None:
    host.check_output("rm -f /etc/ssh/ssh_host_*")
    host.check_output("systemctl daemon-reload")
    host.check_output("systemctl restart sshd-keygen")
    host.check_output("sshd -t")
    names = host.check_output("ls /etc/ssh | grep ssh_host | grep -v pub").split()
    assert names == ["ssh_host_ecdsa_key", "ssh_host_ed25519_key"]


def test_later_boots_keep_the_host_keys(host: Host) -> None:
    before = host.check_output("cat /etc/ssh/ssh_host_ed25519_key.pub")
    host.check_output("systemctl restart sshd-keygen")
    assert host.check_output("cat /etc/ssh/ssh_host_ed25519_key.pub") == before


def test_journal_moves_to_its_disk_and_lets_go_of_it(host: Host) -> None:
    # The container booted with the distribution's unit, which has flushed already.
    host.check_output("journalctl --relinquish-var")
    host.check_output("systemctl restart journal-on-disk")
    host.check_output("systemd-cat echo a line for the disk")
    host.check_output("journalctl --sync")
    assert "a line for the disk" in host.check_output("journalctl --directory /data/journal --output cat")
    host.check_output("systemctl stop journal-on-disk")
    host.check_output("systemd-cat echo a line for the memory")
    host.check_output("journalctl --sync")
    assert "a line for the memory" not in host.check_output("journalctl --directory /data/journal --output cat")


def test_unit_of_the_journal_is_sandboxed(host: Host) -> None:
    report = host.check_output("systemd-analyze security --no-pager journal-on-disk.service")
    assert float(report.splitlines()[-1].split(":")[1].split()[0]) < 3.0


def test_journal_stays_in_memory_while_its_disk_is_away(host: Host) -> None:
    assert host.file("/var/log/journal").is_symlink
    # Relative: the image builder looks into the image from outside.
    assert host.check_output("readlink /var/log/journal") == "../../data/journal"


def test_time_zone_is_utc(host: Host) -> None:
    assert host.check_output("date +%Z") == "UTC"


@pytest.mark.parametrize("unit", ["ssh", "systemd-networkd", "systemd-resolved", "systemd-timesyncd"])
def test_unit_is_enabled(host: Host, unit: str) -> None:
    assert host.service(unit).is_enabled


def test_nothing_waits_for_the_network(host: Host) -> None:
    assert not host.file("/etc/systemd/system/network-online.target.wants").exists or not host.run(
        "ls /etc/systemd/system/network-online.target.wants"
    ).stdout.count("wait-online")
