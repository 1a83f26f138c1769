"""A real appliance made by `vvctl local`, and `vvctl upgrade` as a person calls it."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

import httpx

from tests.image import voices
from vvctl.machine.session import import_command, is_ready
from vvctl.machine.ssh import Shell, make_key

VVCTL = Path(sys.executable).with_name("vvctl")
# Under emulation; half a minute of speech is 30 embeddings.
_START_S, _UPLOAD_S, _SHUTDOWN_S = 600, 600, 300


@dataclass(frozen=True)
class Keys:
    """Of an operator and of an integrator."""

    operator: str
    integrator: str

    @classmethod
    def new(cls) -> Self:
        return cls(*(f"vv_{secrets.token_urlsafe(32)}" for _ in range(2)))


class Machine:
    """The machine in `folder`/machine."""

    def __init__(self, folder: Path, ova: Path, cores: int) -> None:
        """Made from `ova`, and off."""
        self.directory, self.journal = folder / "machine", folder / "journal"
        self.keys = Keys.new()
        self.api_port, self.ssh_port = _free_port(), _free_port()
        self._open = ExitStack()
        ssh_key = folder / "ssh-key"
        properties = {
            "ssh_key": make_key(ssh_key, "tests/upgrade"),
            "operator_key_sha256": sha256(self.keys.operator.encode()).hexdigest(),
        }
        vvctl(
            "local", "create", str(self.directory), "--ova", str(ova), "--cores", str(cores),
            "--forward", f"{self.api_port}:8000", "--forward", f"{self.ssh_port}:22",
            *(part for key, value in properties.items() for part in ("--property", f"{key}={value}")),
        )  # fmt: skip
        self.shell = self._open.enter_context(Shell("127.0.0.1", ssh_key, port=self.ssh_port))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    def start(self) -> float:
        """Switch on and wait until it is ready; seconds that it took."""
        began = time.monotonic()
        vvctl("local", "start", str(self.directory))
        while not self._ready():
            assert time.monotonic() - began < _START_S, "the appliance is not ready"
            time.sleep(0.5)
        return time.monotonic() - began

    def close(self) -> None:
        self.shell.disconnect()
        subprocess.run([VVCTL, "local", "stop", self.directory, "--within", str(_SHUTDOWN_S)], check=False)
        self._open.close()

    def let_integrator_in(self) -> None:
        self.root(import_command(self.keys.integrator))

    def root(self, command: str) -> str:
        """Standard output of a command, run as root."""
        return self.shell.run(command, timeout_s=_UPLOAD_S)

    def ask(self, method: str, path: str, *, role: str = "operator", **content: Any) -> Any:
        """What the API answers."""
        headers = {"Authorization": f"Bearer {getattr(self.keys, role)}"}
        answer = httpx.request(method, f"{self.url}/api/v2{path}", headers=headers, timeout=_UPLOAD_S, **content)
        assert answer.is_success, f"{method} {path}: {answer.text}"
        return answer.json() if answer.content else None

    def version(self) -> str:
        """Of the system that is in charge."""
        found: str = self.ask("GET", "/maintenance/inventory")["version"]
        return found

    def enrol(self, speaker: str, voice: str) -> None:
        self._upload("/enroll", speaker, voices.enrolment(voice))

    def verify(self, speaker: str, voice: str) -> str:
        """The decision on other speech of `voice`."""
        decision: str = self._upload("/verify", speaker, voices.speech(voice, 6))["decision"]
        return decision

    def upgrade(self, *command: str) -> subprocess.CompletedProcess[str]:
        """`vvctl upgrade ...` on this machine's journal, whatever its exit status."""
        done = subprocess.run(
            [VVCTL, "upgrade", *command, "--journal", self.journal],
            env=os.environ | {"VV_API_KEY": self.keys.operator, "VV_URL": self.url},
            capture_output=True,
            text=True,
            check=False,
        )
        print(f"vvctl upgrade {' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}", flush=True)
        self.shell.disconnect()
        return done

    def _upload(self, path: str, speaker: str, recording: bytes) -> Any:
        files = {"recording": recording}
        return self.ask("POST", path, role="integrator", data={"speaker": speaker}, files=files)

    def _ready(self) -> bool:
        try:
            return bool(is_ready(self.url))
        except (OSError, httpx.HTTPError):
            return False


def vvctl(*command: str) -> str:
    """What a command printed."""
    return subprocess.run([VVCTL, *command], check=True, stdout=subprocess.PIPE, text=True).stdout


def _free_port() -> int:
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
