"""Nothing of the build, and nothing that two machines would share, is left."""

from __future__ import annotations

import pytest
from testinfra.host import Host

testinfra_hosts = ["podman://voice-verify-sysprep"]


@pytest.mark.parametrize(
    "pattern",
    [
        "/etc/ssh/ssh_host_*",
        "/root/.ssh/authorized_keys",
        "/root/.bash_history",
        "/root/.ansible",
        "/tmp/leftover",  # noqa: S108 (prepare.yml made it)
        "/var/tmp/leftover",  # noqa: S108
        "/var/log/leftover",
        "/var/lib/systemd/random-seed",
        "/var/lib/apt/lists/*_Packages*",
        "/var/cache/apt/archives/*.deb",
        "/var/cache/apt/pkgcache.bin",
        "/usr/lib/voice-verify/program/__pycache__/main.cpython-27.pyc",
    ],
)
def test_trace_is_gone(host: Host, pattern: str) -> None:
    assert host.run(f"ls -d {pattern}").stdout == ""


def test_machine_has_no_identity(host: Host) -> None:
    assert host.file("/etc/machine-id").exists
    assert host.file("/etc/machine-id").size == 0


def test_what_the_machine_itself_compiled_stays(host: Host) -> None:
    assert host.check_output("ls /usr/lib/voice-verify/program/__pycache__").startswith("main.cpython-3")


def test_root_cannot_log_in(host: Host) -> None:
    host.check_output("ssh-keygen -A")
    assert "permitrootlogin no" in host.check_output("sshd -T").splitlines()
