"""Kamailio as a customer's PBX: digest users over UDP, TCP and TLS, and calls to those who are registered."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from .network import Host

PROGRAM = shutil.which("kamailio") or "/usr/sbin/kamailio"
CONFIGURATION = Path(__file__).with_name("kamailio.cfg")
START_S = 30
END_S = 5
SIP, SIPS = 5060, 5061


class Kamailio:
    """A PBX for `users` (name to password) on `host`, or on free ports of the loopback, which needs no root.

    With `certificate` (certificate and key) it serves TLS, too. With `alias` it calls a registered user at the address
    that his registration came from, as a PBX for phones behind NAT does. Its realm and domain are its address.
    """

    def __init__(
        self,
        folder: Path,
        users: Mapping[str, str],
        *,
        host: Host | None = None,
        certificate: tuple[Path, Path] | None = None,
        alias: bool = False,
    ) -> None:
        self._folder = folder
        self._users = dict(users)
        self._host = host
        self._certificate = certificate
        self._alias = alias
        self._control = folder / "control"
        self._process: subprocess.Popen[bytes] | None = None
        self.address = host.address if host else "127.0.0.1"
        self.port, self.tls_port = (SIP, SIPS) if host else (_free_port(), _free_port())

    def start(self) -> None:
        """Start it with nobody registered."""
        configuration = self._folder / "kamailio.cfg"
        configuration.write_text(self._configuration())
        # Two children and little memory: it serves a handful of users.
        command = [PROGRAM, "-f", str(configuration), "-DD", "-E", "-m", "32", "-M", "4", "-w", str(self._folder)]
        command += ["-Y", str(self._folder), "-P", str(self._folder / "pid")]
        command = self._host.command(*command) if self._host else command
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            assert self._process.poll() is None, f"Kamailio ended:\n{self.log()}"
            with suppress(OSError):
                self._ask("core.uptime")
                return
            time.sleep(0.05)
        raise AssertionError(f"Kamailio did not start:\n{self.log()}")

    def stop(self) -> None:
        """End it, as an outage of the PBX: connections close, registrations are forgotten."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout=END_S)
            except subprocess.TimeoutExpired:
                # Asked to end while its children start, it may wait for them for a minute.
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait(timeout=START_S)
            self._process = None
        self._control.unlink(missing_ok=True)

    def set_password(self, user: str, password: str) -> None:
        """Change a user's password while it runs."""
        self._users[user] = password
        self._ask("htable.sets", "passwords", user, password)

    def contacts(self, user: str) -> list[str]:
        """The contacts under which a user is registered now."""
        answer = self._ask("ul.lookup", "location", user)
        if "error" in answer:
            return []
        return [contact["Contact"]["Address"] for contact in answer["result"]["Contacts"]]

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    @property
    def _log(self) -> Path:
        return self._folder / "kamailio.log"

    def _configuration(self) -> str:
        certificate, key = self._certificate or ("", "")
        values = {
            "modules": str(next(Path("/usr/lib").glob("*/kamailio/modules"))) + "/",
            "address": self.address,
            "port": self.port,
            "tls_port": self.tls_port,
            "certificate": certificate,
            "key": key,
            "control": self._control,
            "users": "\n".join(f'    $sht(passwords=>{user}) = "{word}";' for user, word in self._users.items()),
        }
        text = CONFIGURATION.read_text()
        for name, value in values.items():
            text = text.replace(f"@{name}@", str(value))
        defined = ["WITH_TLS"] * bool(self._certificate) + ["WITH_ALIAS"] * self._alias
        return text.replace("#!KAMAILIO", "\n".join(["#!KAMAILIO", *(f"#!define {name}" for name in defined)]), 1)

    def _ask(self, method: str, *parameters: str) -> dict[str, Any]:
        """A call of its control interface: JSON-RPC in datagrams."""
        own = self._folder / "answers"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asking:
            asking.settimeout(5)
            asking.bind(str(own))
            try:
                question = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(parameters)}
                asking.sendto(json.dumps(question).encode(), str(self._control))
                answer: dict[str, Any] = json.loads(asking.recv(65535))
                return answer
            finally:
                own.unlink()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
