"""The build container: systemd running on the root file system itself, reached over SSH on loopback."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vvctl.errors import CommandFailed
from vvctl.image.run import run

# runc and cgroupfs: they need neither a running systemd nor version 2 of the control groups on the build host.
_PODMAN = ["podman", "--runtime", "runc", "--cgroup-manager", "cgroupfs"]
START_TIMEOUT_S = 90
JOURNAL_TIMEOUT_S = 60
TOOLS = ("podman", "runc", "ssh-keygen")


@dataclass(frozen=True)
class Container:
    """A running build container."""

    port: int
    key: Path


def remove_container(name: str) -> None:
    """Remove the container `name` if a killed run left it, running or not."""
    run([*_PODMAN, "rm", "--force", "--ignore", "--time", "0", name])


@contextmanager
def running(rootfs: Path, name: str, *, keys: Path, mounts: dict[Path, str], journal: Path) -> Iterator[Container]:
    """Boot `rootfs` and yield the container when SSH answers; it is removed whatever happens.

    `mounts` are folders of this machine that appear read-only inside; `keys` is an empty folder for the SSH key that
    only this build knows; the guest's journal is saved as `journal` at the end.
    Raises CommandFailed when the container does not start or SSH does not answer in time.
    """
    key = authorize(rootfs, keys)
    remove_container(name)
    try:
        run(
            [
                *_PODMAN, "run", "--detach", "--name", name, "--systemd=always", "--hostname", "image-build",
                "--cap-add", "NET_ADMIN,SYS_ADMIN,AUDIT_WRITE", "--security-opt", "seccomp=unconfined",
                # Without limits of their own containers fail where the host's are lower than podman's defaults.
                "--ulimit", "nofile=20000:20000", "--ulimit", "nproc=4096:4096",
                "--publish", "127.0.0.1::22",
                *(f"--volume={source}:{target}:ro" for source, target in mounts.items()),
                "--rootfs", rootfs, "/sbin/init",
            ]
        )  # fmt: skip
        port = int(run([*_PODMAN, "port", name, "22/tcp"]).strip().rpartition(":")[2])
        _await_ssh(name, port)
        yield Container(port, key)
    finally:
        try:
            _save_journal(name, journal)
        finally:
            remove_container(name)


def _save_journal(name: str, journal: Path) -> None:
    """Keep what the guest said; a guest that no longer answers is no reason to fail."""
    with contextlib.suppress(subprocess.TimeoutExpired), journal.open("wb") as target:
        subprocess.run(
            [*_PODMAN, "exec", name, "journalctl", "--no-pager", "--boot"],
            stdin=subprocess.DEVNULL, stdout=target, stderr=subprocess.DEVNULL, check=False, timeout=JOURNAL_TIMEOUT_S,
        )  # fmt: skip


def authorize(rootfs: Path, keys: Path) -> Path:
    """Make a key pair for this build, let it in as root, and give the guest's SSH server keys of its own."""
    key = keys / "id_ed25519"
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "image-build", "-f", key])
    folder = rootfs / "root/.ssh"
    folder.mkdir(mode=0o700, exist_ok=True)
    authorized = folder / "authorized_keys"
    authorized.write_bytes(key.with_suffix(".pub").read_bytes())
    authorized.chmod(0o600)
    run(["ssh-keygen", "-A", "-f", rootfs])
    return key


def _await_ssh(name: str, port: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
                connection.settimeout(2)
                if connection.recv(4) == b"SSH-":
                    return
        except OSError:
            pass
        time.sleep(0.2)
    raise CommandFailed(
        f"SSH in the build container {name} did not answer within {START_TIMEOUT_S} s",
        hint="the guest's journal is in build/logs/container.log",
    )
