"""Commands in a guest, through the OpenSSH client."""

from __future__ import annotations

import shlex
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from vvctl.machine.errors import MachineError, run

# Host keys are made at first boot, so there is none to know in advance.
_OPTIONS = (
    *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"),
    *("-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"),
)


# The account that the property ssh_key lets in (role base); it may become root.
_ADMINISTRATOR = "admin"


def make_key(path: Path, comment: str) -> str:
    """The public key of the Ed25519 key at `path`, which is made when it does not exist."""
    if not path.exists():
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)], package="openssh-client")
    return path.with_name(path.name + ".pub").read_text(encoding="ascii").strip()


def command_line(host: str, port: int, key: Path) -> str:
    """What a person types to log in."""
    return shlex.join(["ssh", *_OPTIONS[:4], "-i", str(key), "-p", str(port), f"{_ADMINISTRATOR}@{host}"])


class Shell:
    """Runs commands as root over one connection, since each handshake costs seconds in an emulated guest."""

    def __init__(self, host: str, key: Path, *, port: int = 22) -> None:
        self._address = (host, port)
        self._control = tempfile.TemporaryDirectory(prefix="vv-ssh-")
        self._ssh = (
            *("ssh", *_OPTIONS, "-i", str(key), "-p", str(port)),
            *("-o", "ControlMaster=auto", "-o", f"ControlPath={self._control.name}/c", "-o", "ControlPersist=600"),
            f"{_ADMINISTRATOR}@{host}",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def greets(self) -> bool | None:
        """True when the SSH server answers, else None (or OSError while nothing does)."""
        with socket.create_connection(self._address, timeout=3) as connection:
            connection.settimeout(5)
            return connection.recv(4) == b"SSH-" or None

    def attempt(self, command: str, *, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        """Run `command` as root in the guest's shell, whatever its exit status; raises MachineError when it hangs."""
        try:
            return subprocess.run(
                [*self._ssh, shlex.join(["sudo", "-n", "sh", "-c", command])],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise MachineError(f"in the guest, `{command}` did not end within {timeout_s:.0f} s") from error

    def run(self, command: str, *, timeout_s: float = 120) -> str:
        """Standard output of `command`, stripped; raises MachineError when it fails."""
        done = self.attempt(command, timeout_s=timeout_s)
        if done.returncode != 0:
            raise MachineError(f"in the guest, `{command}` ended with status {done.returncode}: {done.stderr.strip()}")
        return done.stdout.strip()

    def send(self, content: bytes, command: str, *, timeout_s: float = 120) -> None:
        """Run `command` as root with `content` on its standard input; raises MachineError when it fails or hangs."""
        line = [*self._ssh, shlex.join(["sudo", "-n", "sh", "-c", command])]
        try:
            done = subprocess.run(line, input=content, capture_output=True, timeout=timeout_s, check=False)
        except subprocess.TimeoutExpired as error:
            raise MachineError(f"in the guest, `{command}` did not end within {timeout_s:.0f} s") from error
        if done.returncode != 0:
            raise MachineError(f"in the guest, `{command}` ended with status {done.returncode}: {done.stderr.decode()}")

    def disconnect(self) -> None:
        """Drop the connection, for instance because the guest reboots; the next command makes a new one."""
        subprocess.run([*self._ssh[:-1], "-O", "exit", self._ssh[-1]], capture_output=True, timeout=20, check=False)

    def close(self) -> None:
        self.disconnect()
        self._control.cleanup()
