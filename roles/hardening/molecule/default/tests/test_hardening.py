"""What role hardening leaves in a running machine; the kernel's part is in tests/image, since a container has none."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from testinfra.host import Host

testinfra_hosts = ["podman://voice-verify-hardening"]
SWITCH = "/data/automatic-updates"


@pytest.fixture
def switched_off(host: Host) -> Iterator[Host]:
    host.check_output("rm -f " + SWITCH)
    yield host
    host.check_output("rm -f " + SWITCH)


def status(host: Host) -> dict[str, object]:
    loaded: dict[str, object] = json.loads(host.check_output("vv-updates status --json"))
    return loaded


def test_nothing_but_sudo_and_dbus_runs_with_the_rights_of_root(host: Host) -> None:
    found = host.check_output("find / -xdev -type f -perm -4000").splitlines()
    assert {path.rpartition("/")[2] for path in found} == {"sudo", "dbus-daemon-launch-helper"}


def test_packages_keep_to_it(host: Host) -> None:
    assert "root root 755 /usr/bin/su" in host.check_output("dpkg-statoverride --list").splitlines()


def test_no_service_and_no_session_leaves_its_memory_behind(host: Host) -> None:
    host.check_output("systemctl daemon-reexec")
    assert host.check_output("systemctl show --property=DefaultLimitCORE --value") == "0"
    assert "* hard core 0" in host.file("/etc/security/limits.d/hardening.conf").content_string


def test_nothing_runs_from_the_temporary_folder(host: Host) -> None:
    # The container's own is mounted already.
    assert "noexec" in host.check_output("systemctl cat tmp.mount").splitlines()[-1].split(",")


@pytest.mark.parametrize("module", ["sctp", "usb-storage", "udf"])
def test_module_is_never_loaded(host: Host, module: str) -> None:
    lines = host.file("/etc/modprobe.d/hardening.conf").content_string.splitlines()
    assert f"install {module} /bin/false" in lines


def test_sudo_logs_to_the_journal_what_became_of_the_command(host: Host) -> None:
    host.check_output("visudo -c")
    assert host.run("sudo -n /bin/false").rc == 1
    assert "COMMAND=/bin/false" in host.check_output("journalctl --no-pager --output=cat --identifier=sudo")


def test_banner_is_shown_before_login(host: Host) -> None:
    assert "authorised" in host.file("/etc/issue.net").content_string


def test_audit_rules_are_written_as_the_kernel_takes_them(host: Host) -> None:
    # The container's kernel takes none; what auditctl itself cannot read, it says before it asks the kernel.
    said = host.run("auditctl -R /etc/audit/rules.d/audit.rules")
    assert "There was an error" not in said.stderr or "Operation not permitted" in said.stderr, said.stderr
    for unit in ("auditd", "audit-rules", "systemd-journald-audit.socket"):
        assert host.service(unit).is_enabled


def test_audit_log_is_kept_in_the_journal_only(host: Host) -> None:
    assert "write_logs = no" in host.file("/etc/audit/auditd.conf").content_string


def test_updates_are_off_as_delivered(switched_off: Host) -> None:
    assert status(switched_off)["automatic"] is False
    for unit in ("apt-daily.service", "apt-daily-upgrade.service"):
        switched_off.check_output("systemctl start %s", unit)
        assert switched_off.check_output("systemctl show --property=ConditionResult --value %s", unit) == "no"


def test_updates_are_one_command_away(switched_off: Host) -> None:
    assert "on: security updates every night" in switched_off.check_output("vv-updates on")
    assert switched_off.file(SWITCH).exists
    assert status(switched_off)["automatic"] is True
    switched_off.check_output("vv-updates off")
    assert not switched_off.file(SWITCH).exists


def test_only_the_security_archive_is_taken(host: Host) -> None:
    patterns = host.check_output("apt-config dump Unattended-Upgrade::Origins-Pattern").splitlines()
    assert [line.split('"')[1] for line in patterns if line.split('"')[1]] == [
        "origin=Debian,codename=${distro_codename}-security,label=Debian-Security"
    ]
    assert host.check_output("apt-config shell reboot Unattended-Upgrade::Automatic-Reboot") == "reboot='false'"


def test_timers_run_at_night(host: Host) -> None:
    for unit in ("apt-daily.timer", "apt-daily-upgrade.timer"):
        assert host.service(unit).is_enabled
        assert "03:00:00 UTC" in host.check_output("systemctl show --property=TimersCalendar --value %s", unit)


@pytest.mark.parametrize("unit", ["postgresql", "voice-verify.service", "nginx"])
def test_packages_do_not_restart_what_carries_calls(host: Host, unit: str) -> None:
    assert host.run("policy-rc.d %s restart", unit).rc == 101
    assert host.run("policy-rc.d ssh restart").rc == 0


def test_failing_to_fetch_updates_says_where_to_look(host: Host) -> None:
    # The container has no network.
    done = host.run("vv-updates now")
    assert done.rc == 1
    assert "hint:" in done.stderr


def test_updates_are_for_root_only(host: Host) -> None:
    refused = host.run("runuser -u nobody -- vv-updates on")
    assert refused.rc == 1
    assert "sudo vv-updates on" in refused.stderr
