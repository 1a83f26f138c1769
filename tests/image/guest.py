"""A booted appliance on a network of its own, and what every test asks of it."""

from __future__ import annotations

import json
import secrets
import ssl
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import httpx

from vvctl.appliance import Appliance
from vvctl.machine import (
    Bus,
    CacheMode,
    Emulator,
    EmulatorAborted,
    Hardware,
    Machine,
    MachineError,
    Network,
    Shell,
    Waiter,
)
from vvctl.machine.session import import_command, is_ready
from vvctl.machine.ssh import make_key

from .sources import Source, ovf_disc

Answer = TypeVar("Answer")
# Figures of a run, by name.
Measured = dict[str, Any]

# Seconds at native speed; vvctl multiplies them by how much slower the emulation is.
SSH_LIMIT_S = 60
READY_LIMIT_S = 75
REPLY_LIMIT_S = 60
# Half a minute of speech is 30 embeddings, computed while other machines boot beside this one.
UPLOAD_LIMIT_S = 90
SETTLE_LIMIT_S = 45
# How often a wait says that it is alive.
REPORT_EVERY_S = 10


@dataclass(frozen=True)
class Credentials:
    """The keys of one test run."""

    directory: Path
    operator_key: str = field(default_factory=lambda: f"vv_{secrets.token_urlsafe(32)}")
    integrator_key: str = field(default_factory=lambda: f"vv_{secrets.token_urlsafe(32)}")

    @property
    def ssh_key(self) -> Path:
        return self.directory / "ssh-key"

    def properties(self) -> dict[str, str]:
        """The OVF properties that let these keys in."""
        return {
            "ssh_key": make_key(self.ssh_key, "tests/image"),
            "operator_key_sha256": sha256(self.operator_key.encode()).hexdigest(),
        }


class Guest:
    """One machine with its network; started at once, waited for when a test needs it."""

    def __init__(
        self,
        name: str,
        *,
        disks: Sequence[Path],
        appliance: Appliance,
        credentials: Credentials,
        logs: Path,
        emulator: Emulator,
        bus: Bus = Bus.PVSCSI,
        network_card: str = "vmxnet3",
        source: Source = ovf_disc,
    ) -> None:
        """Power it on with its name, its address and the keys from `source`. The logs go to `logs`/`name`/."""
        self.name = name
        self.appliance = appliance
        self.credentials = credentials
        self.logs = logs / name
        self.disks = disks
        self.logs.mkdir(parents=True, exist_ok=True)
        self._open = ExitStack()
        self.network = self._open.enter_context(Network())
        self.address = str(self.network.guest.ip)
        self.properties = {
            **credentials.properties(),
            "hostname": name,
            "address": str(self.network.guest),
            "gateway": self.network.gateway,
        }
        given = self._open.enter_context(source(self.network, credentials.directory / name, self.properties))
        hardware = Hardware(
            firmware=appliance.ovf.firmware,
            bus=bus,
            network_card=network_card,
            cache=CacheMode.THROW_AWAY,
            identity=given.identity,
        )
        self.machine = Machine(
            name,
            self.logs,
            disks=disks,
            nic=self.network.nic,
            hardware=hardware,
            emulator=emulator,
            disc=given.disc,
        )
        self.shell = self._open.enter_context(Shell(self.address, credentials.ssh_key))
        self._reported = 0.0
        self._restarted = False
        try:
            self._open.enter_context(self.machine)
        except BaseException:
            self.close()
            raise

    @property
    def url(self) -> str:
        return f"http://{self.address}:{self.appliance.port('api').first}"

    def slow(self, native_s: float) -> float:
        """`native_s` on this machine's emulation."""
        return native_s * self.machine.emulator.patience

    def until(self, what: str, ask: Callable[[], Answer | None], native_s: float) -> Answer:
        """Wait for an answer of `ask` that is not None, printing signs of life."""
        self._reported = 0.0
        return Waiter(self.machine, self._report).until(what, ask, native_s)

    def wait_ssh(self) -> float:
        """Wait for SSH; seconds since power-on."""
        self._boot("SSH", self.shell.greets, SSH_LIMIT_S)
        return time.monotonic() - self.machine.started_at

    def wait_ready(self) -> float:
        """Wait until the service says that it is ready; seconds since power-on."""
        self._boot("the service", lambda: is_ready(self.url), READY_LIMIT_S)
        return time.monotonic() - self.machine.started_at

    def _boot(self, what: str, ask: Callable[[], Answer | None], native_s: float) -> Answer:
        """Wait as `until` does; a QEMU that ends itself is started again, once.

        Its translation (10.0) sometimes takes a write to one device for one to another while the guest arranges its
        PCI devices: seen once in some 300 boots. To the guest it is a power cut.
        """
        try:
            return self.until(what, ask, native_s)
        except EmulatorAborted as error:
            if self._restarted:
                raise
            print(f"[{self.name}] switched on again: {error}", flush=True)
            self._restarted = True
            self.machine.kill()
            self.machine.start()
            return self.until(what, ask, native_s)

    def root(self, command: str) -> str:
        """Standard output of a command in the guest, run as root."""
        return self.shell.run(command, timeout_s=self.slow(REPLY_LIMIT_S))

    def state(self) -> dict[str, Any]:
        """What `vv-status` knows."""
        done = self.shell.attempt("vv-status --json", timeout_s=self.slow(REPLY_LIMIT_S))
        state: dict[str, Any] = json.loads(done.stdout)
        return state

    def let_integrator_in(self) -> None:
        self.root(import_command(self.credentials.integrator_key))

    def api(self, *, key: str | None = None) -> httpx.Client:
        """A client of the API with the integrator's key, or with another one; an empty one for none."""
        used = self.credentials.integrator_key if key is None else key
        headers = {"Authorization": f"Bearer {used}"} if used else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=self.slow(REPLY_LIMIT_S))

    def enrol(self, speaker: str, recording: bytes) -> dict[str, Any]:
        """The answer to an enrolment from a recording."""
        return self._upload("/api/v2/enroll", speaker, recording)

    def verify(self, speaker: str, recording: bytes) -> dict[str, Any]:
        """The answer to a verification from a recording."""
        return self._upload("/api/v2/verify", speaker, recording)

    def served_certificate(self, port: str) -> str:
        """What a port of appliance.yml answers with in TLS, as PEM; OSError without TLS there."""
        address = (self.address, self.appliance.port(port).first)
        return ssl.get_server_certificate(address, timeout=self.slow(5)).strip()

    def speakers(self) -> list[str]:
        """Who is enrolled."""
        with self.api() as api:
            return [speaker["speaker"] for speaker in api.get("/api/v2/speakers").json()["speakers"]]

    def _upload(self, path: str, speaker: str, recording: bytes) -> dict[str, Any]:
        with self.api() as api:
            reply = api.post(
                path,
                data={"speaker": speaker},
                files={"recording": recording},
                timeout=self.slow(UPLOAD_LIMIT_S),
            )
        assert reply.status_code == httpx.codes.OK, reply.text
        result: dict[str, Any] = reply.json()
        return result

    @staticmethod
    def at_once(requests: Sequence[Callable[[], Answer]]) -> list[Answer]:
        """The answers to requests made at the same time."""
        with ThreadPoolExecutor() as pool:
            return [future.result() for future in [pool.submit(request) for request in requests]]

    def identity(self) -> dict[str, str]:
        """What must be another one on every machine."""
        said = self.root(
            "cat /etc/machine-id; cut -d' ' -f2 /etc/ssh/ssh_host_ed25519_key.pub /etc/ssh/ssh_host_ecdsa_key.pub;"
            " ip -o -4 address show scope global | awk '{print $4}';"
            " ip -o -6 address show scope link | awk '{print $4}'"
        )
        names = ("machine-id", "SSH host key", "SSH host key (ECDSA)", "address", "link-local address")
        return dict(zip(names, said.split(), strict=True))

    def snapshot(self, images: Sequence[Path]) -> list[Path]:
        """Freeze the disks while the machine runs; the frozen ones. From then on its disks are `images`."""
        frozen = self.machine.snapshot(images)
        self.disks = images
        return frozen

    def reboot(self) -> float:
        """Press the reset button and wait until the service is ready again; seconds that it took."""
        boot_id = self.root("cat /proc/sys/kernel/random/boot_id")
        started = time.monotonic()
        self.machine.reset()
        self.shell.disconnect()

        def booted_anew() -> str | None:
            if not self.shell.greets():
                return None
            done = self.shell.attempt("cat /proc/sys/kernel/random/boot_id", timeout_s=self.slow(REPLY_LIMIT_S))
            return "yes" if done.returncode == 0 and done.stdout.strip() != boot_id else None

        self.until("the next boot", booted_anew, SSH_LIMIT_S)
        self.wait_ready()
        return time.monotonic() - started

    def shut_down(self) -> None:
        """Keep the journal, shut down in order, and be gone."""
        self.keep_journal()
        self.shell.disconnect()
        self.machine.shut_down()
        self.close()

    def keep_journal(self) -> None:
        """Write the journal of the running boot beside the console's log, where SSH gives it."""
        if not self.machine.running:
            return
        try:
            journal = self.shell.attempt("journalctl --boot --no-pager", timeout_s=self.slow(REPLY_LIMIT_S)).stdout
        except MachineError as error:
            journal = f"not to be had: {error}\n"
        with (self.logs / "journal.log").open("a", encoding="utf-8") as file:
            file.write(journal)

    def close(self) -> None:
        """Cut the power and remove the network; does nothing the second time."""
        self._open.close()

    def _report(self, what: str, seconds: float, line: str) -> None:
        if seconds - self._reported >= REPORT_EVERY_S:
            self._reported = seconds
            printable = "".join(character for character in line if character.isprintable())
            print(f"[{self.name} {seconds:4.0f} s] waiting for {what} | {printable[-100:]}", flush=True)
