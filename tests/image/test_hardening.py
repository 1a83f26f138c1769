"""The booted machine is locked down as docs/hardening.md says; scores and the index of Lynis go to build/reports."""

from __future__ import annotations

import json
import re
import secrets
from pathlib import Path

import pytest

from vvctl.appliance import Appliance

from . import hardening_report
from .guest import Guest

# What systemd-analyze calls OK ends at 4.9; it gives 9.6 to a service that takes no precaution.
HIGHEST_EXPOSURE = 3.0
# A machine asks for its address here.
DHCP_CLIENT = {68, 546}


@pytest.fixture(scope="module", autouse=True)
def _audited_meanwhile(lynis: None) -> None:
    """Lynis takes minutes; test_lynis waits for it."""


@pytest.fixture(scope="module")
def exposures(first: Guest) -> dict[str, float]:
    """Every unit that the roles install, and nginx, to its exposure (0 to 10, less is better)."""
    said = first.root(
        "cd /etc/systemd/system && systemd-analyze security --no-pager"
        " $(find . -maxdepth 1 -type f -name '*.service' -printf '%f ') nginx.service | grep Overall"
    )
    return {unit: float(score) for unit, score in re.findall(r"level for (\S+): ([0-9.]+)", said)}


def settings(text: str, separator: str) -> dict[str, str]:
    """Lines of `name separator value`; comments are left out."""
    lines = (line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    pairs = (line.partition(separator) for line in lines)
    return {name.strip(): value.strip() for name, _, value in pairs}


def test_every_unit_is_sandboxed(root: Path, exposures: dict[str, float]) -> None:
    hardening_report.note(root, units=exposures)
    assert {"voice-verify.service", "postgresql.service", "nginx.service", "vv-setup.service"} <= set(exposures)
    assert {unit: score for unit, score in exposures.items() if score >= HIGHEST_EXPOSURE} == {}


def test_no_sandbox_is_in_the_way(first: Guest, exposures: dict[str, float]) -> None:
    """What a sandbox refuses often only shows in the journal: a program goes on without."""
    units = " ".join(f"--unit={unit}" for unit in exposures)
    refused = first.root(
        f"journalctl --boot --no-pager --output=short {units}"
        " | grep -iE 'read-only file system|operation not permitted|permission denied|bad system call' || true"
    )
    assert refused == ""


def test_nobody_has_a_password(first: Guest) -> None:
    words = settings(first.root("cut -d: -f1,2 /etc/shadow"), ":")
    assert "root" in words
    assert {account: word for account, word in words.items() if word not in {"*", "!", "!*", "!!"}} == {}


def test_nothing_listens_beyond_the_port_table(first: Guest, appliance: Appliance) -> None:
    declared = {
        protocol: {
            number
            for port in appliance.ports
            if protocol in port.protocols
            for number in range(port.first, (port.last or port.first) + 1)
        }
        for protocol in ("tcp", "udp")
    }
    declared["udp"] |= DHCP_CLIENT
    found = [line.split() for line in first.root("ss --no-header --listening --numeric --tcp --udp").splitlines()]
    assert found
    beyond = []
    for protocol, _, _, _, local, *_ in found:
        address, _, port = local.rpartition(":")
        on_loopback = address.startswith(("127.", "[::1]")) or address.endswith("%lo")
        if not on_loopback and int(port) not in declared[protocol]:
            beyond.append(f"{protocol} {local}")
    assert beyond == []


def test_kernel_parameters_are_in_force(first: Guest, root: Path) -> None:
    wanted = settings((root / "roles/hardening/files/sysctl.conf").read_text(encoding="utf-8"), "=")
    paths = " ".join(f"/proc/sys/{name.replace('.', '/')}" for name in wanted)
    said = first.root(f'for path in {paths}; do echo "$path=$(cat $path)"; done')
    found = {name.removeprefix("/proc/sys/").replace("/", "."): value for name, value in settings(said, "=").items()}
    assert found == wanted


def test_kernel_loads_no_module_that_is_not_needed(first: Guest) -> None:
    done = first.shell.attempt("modprobe sctp")
    assert done.returncode != 0
    assert "sctp" not in first.root("cut -d' ' -f1 /proc/modules").split()


@pytest.mark.parametrize("mount", ["/tmp", "/dev/shm", "/data"])  # noqa: S108 (the guest's)
def test_no_program_runs_from_where_everybody_writes(first: Guest, mount: str) -> None:
    options = first.root(f"findmnt --noheadings --output OPTIONS --mountpoint {mount}").split(",")
    assert {"noexec", "nosuid", "nodev"} <= set(options)


def test_ssh_takes_keys_and_modern_algorithms_only(first: Guest) -> None:
    found = settings(first.root("sshd -T"), " ")
    wanted = {
        "passwordauthentication": "no",
        "kbdinteractiveauthentication": "no",
        "permitrootlogin": "no",
        "permitemptypasswords": "no",
        "authenticationmethods": "publickey",
        "disableforwarding": "yes",
        "x11forwarding": "no",
    }
    assert {name: found[name] for name in wanted} == wanted
    algorithms = ",".join(found[name] for name in ("kexalgorithms", "ciphers", "macs", "hostkeyalgorithms"))
    assert re.findall(r"[^,]*(?:sha1|md5|cbc|ssh-dss|umac-64)[^,]*|ssh-rsa(?=,|$)", algorithms) == []


def test_what_administrators_run_as_root_is_in_the_journal(first: Guest) -> None:
    probe = f"audit-probe-{secrets.token_hex(4)}"
    first.root(f"/usr/bin/env echo {probe}")
    first.root("journalctl --sync")
    records = first.root("journalctl --boot --no-pager _TRANSPORT=audit")
    assert re.search(rf'EXECVE .*a\d="{probe}"', records)
    assert 'key="root-command"' in records
    assert "COMMAND=" in first.root("journalctl --boot --no-pager --identifier=sudo --lines=20")


def test_kernel_took_every_audit_rule_and_lost_no_record(first: Guest) -> None:
    written = first.root("grep -c '^-a' /etc/audit/rules.d/audit.rules")
    assert first.root("auditctl -l | grep -c '^-[aw]'") == written
    status = settings(first.root("auditctl -s"), " ")
    assert (status["enabled"], status["lost"]) == ("1", "0")
    assert first.root("find /var/log/audit -type f -size +0") == ""


def test_updates_are_off_and_nothing_waits(first: Guest) -> None:
    assert json.loads(first.root("vv-updates status --json")) == {
        "automatic": False,
        "last_run": None,
        "kernel_waiting": None,
        "services_waiting": [],
    }


def test_only_sudo_and_the_bus_become_root(first: Guest) -> None:
    found = first.root("find / -xdev -type f -perm -4000").splitlines()
    assert {path.rpartition("/")[2] for path in found} == {"sudo", "dbus-daemon-launch-helper"}
