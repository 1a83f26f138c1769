"""What `vvctl boot` does: the appliance on this machine, for a person to try, with disks that stay."""

from __future__ import annotations

import fcntl
import hashlib
import json
import secrets
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from rich.console import Console

from vvctl._generated import API_PORT
from vvctl.appliance import Appliance
from vvctl.errors import ConfigurationError
from vvctl.machine.archive import unpack
from vvctl.machine.command import Hardware
from vvctl.machine.emulator import choose
from vvctl.machine.environment import write_environment_disc
from vvctl.machine.errors import MachineError
from vvctl.machine.nic import UserNic
from vvctl.machine.qemu import Machine
from vvctl.machine.ssh import Shell, command_line, make_key
from vvctl.machine.wait import Waiter
from vvctl.signals import interruptible

# Seconds at native speed.
_SSH_LIMIT_S, _READY_LIMIT_S = 60, 75
# Where each port is offered on 127.0.0.1 while it is free: the low ones belong to this machine.
_OFFERED = {"ssh": 2222, "http": 8080, "api": API_PORT}


@dataclass(frozen=True)
class Files:
    """What a session keeps between boots, all in `directory`."""

    directory: Path

    @property
    def system(self) -> Path:
        return self.directory / "system.qcow2"

    @property
    def data(self) -> Path:
        return self.directory / "data.qcow2"

    @property
    def origin(self) -> Path:
        """Notes which OVA the system disk comes from."""
        return self.directory / "origin.json"

    @property
    def ssh_key(self) -> Path:
        return self.directory / "ssh-key"

    def api_key(self, role: str) -> Path:
        return self.directory / f"{role}-key"


def newest_ova(dist: Path) -> Path:
    """The OVA that was built last; raises ConfigurationError when there is none."""
    found = sorted(dist.glob("*.ova"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise ConfigurationError(f"no OVA in {dist}", hint="build it first: make image")
    return found[-1]


def forget(files: Files, confirm: Callable[[str], bool]) -> bool:
    """Delete everything that earlier sessions left, when `confirm` agrees to the sentence that says what."""
    if not files.directory.exists():
        return True
    what = "the machine of earlier boots with everything stored on its data disk, and its keys"
    if not confirm(f"Delete {files.directory}: {what}?"):
        return False
    shutil.rmtree(files.directory)
    return True


def boot(root: Path, appliance: Appliance, console: Console, *, fresh: Callable[[str], bool] | None) -> None:
    """Boot the newest OVA of dist/ and stay until Ctrl-C or until the guest powers itself off.

    `fresh` starts over if it agrees. Raises VvctlError subclasses; the guest is shut down in order then as well.
    """
    files = Files(root / "build" / "boot")
    ova = newest_ova(root / "dist")
    with _alone(files.directory):
        if fresh is not None and not forget(files, fresh):
            return
        files.directory.mkdir(parents=True, exist_ok=True)
        _prepare_disks(files, ova, console)
        keys = {role: _api_key(files.api_key(role), role, console) for role in ("operator", "integrator")}
        ports = {name: _free_port(wanted) for name, wanted in _OFFERED.items()}
        disc = write_environment_disc(
            files.directory / "properties.iso",
            {
                "ssh_key": make_key(files.ssh_key, "vvctl boot"),
                "operator_key_sha256": hashlib.sha256(keys["operator"].encode()).hexdigest(),
            },
        )
        machine = Machine(
            "boot",
            files.directory,
            disks=[files.system, files.data],
            nic=UserNic({ports[name]: appliance.port(name).first for name in ports}),
            hardware=Hardware(firmware=appliance.ovf.firmware),
            emulator=choose(root / "build" / "cache", appliance.os.suite),
            disc=disc,
        )
        _serve(machine, files, ports, keys["integrator"], console)


def _serve(machine: Machine, files: Files, ports: dict[str, int], key: str, console: Console) -> None:
    with machine, Shell("127.0.0.1", files.ssh_key, port=ports["ssh"]) as shell, interruptible():
        try:
            _wait_ready(machine, shell, ports["api"], console)
            shell.run(import_command(key))
            console.print(_guide(files, ports, machine), soft_wrap=True)
            while machine.running:
                time.sleep(1)
            console.print("The guest has powered itself off.")
        except KeyboardInterrupt:
            console.print("\nShutting down in order; the data disk is kept …")
        finally:
            shell.disconnect()
            machine.shut_down()


def _wait_ready(machine: Machine, shell: Shell, port: int, console: Console) -> None:
    speed = "hardware virtualization" if machine.emulator.name == "kvm" else "emulation, so it takes minutes"
    console.print(f"Booting with {speed}; console: {machine.console_log}")
    with console.status("") as status:

        def report(what: str, seconds: float, line: str) -> None:
            status.update(f"{seconds:4.0f} s  waiting for {what}   [dim]{line[:80]!r}[/]")

        waiter = Waiter(machine, report)
        waiter.until("SSH", shell.greets, _SSH_LIMIT_S)
        waiter.until("the service", lambda: is_ready(f"http://127.0.0.1:{port}"), _READY_LIMIT_S)
    console.print(f"Ready after {time.monotonic() - machine.started_at:.0f} s.")


def is_ready(url: str) -> bool | None:
    """True when the service at `url` says that it is ready, else None."""
    try:
        return httpx.get(f"{url}/health/ready", timeout=30).status_code == httpx.codes.OK or None
    except httpx.HTTPError:
        return None


def _prepare_disks(files: Files, ova: Path, console: Console) -> None:
    """Make the disks, or only a new system disk when the image was built anew: as an upgrade does."""
    built = ova.stat()
    origin = {"name": ova.name, "size": built.st_size, "mtime": built.st_mtime_ns}
    known = files.system.exists() and files.data.exists() and files.origin.exists()
    if known and json.loads(files.origin.read_text(encoding="utf-8")) == origin:
        console.print(f"Disks of the last boot, from {ova.name} (--fresh starts over).")
        return
    console.print(f"Taking the disks out of {ova.name} …")
    files.origin.unlink(missing_ok=True)
    packaged = unpack(ova, files.directory / "new")
    packaged.system.replace(files.system)
    if files.data.exists():
        console.print("The image is newer: a new system disk, and the data disk of the last boot.")
        packaged.data.unlink()
    else:
        packaged.data.replace(files.data)
    packaged.system.parent.rmdir()
    files.origin.write_text(json.dumps(origin), encoding="utf-8")


def _api_key(path: Path, role: str, console: Console) -> str:
    """The key for `role` kept in `path`; a new one is shown, this once."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(f"vv_{secrets.token_urlsafe(32)}\n", encoding="ascii")
        console.print(f"New {role} key, kept in {path}: [bold]{path.read_text(encoding='ascii').strip()}[/]")
    return path.read_text(encoding="ascii").strip()


def import_command(key: str) -> str:
    """What makes the appliance accept `key` for enrolling and verifying; the same key again changes nothing."""
    digest = hashlib.sha256(key.encode()).hexdigest()
    return f"vv-key import --name integrator --role integrator --sha256 {digest}"


def _free_port(wanted: int) -> int:
    """`wanted` on 127.0.0.1, or another port when it is taken."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Keep a second session away from the same disks; raises MachineError when one runs."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    with directory.with_suffix(".lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise MachineError(
                "the machine of this checkout is booted already", hint="end the other `vvctl boot` with Ctrl-C"
            ) from None
        yield


def _guide(files: Files, ports: dict[str, int], machine: Machine) -> str:
    url = f"http://127.0.0.1:{ports['api']}"
    key = files.api_key("integrator")
    header = '-H "Authorization: Bearer $key"'
    return f"""
[bold]Voice Verify answers on {url}/swagger/[/]

  key=$(cat {key})
  # enrol with recordings that hold 20 s of speech together, then verify with another one
  curl {header} -F speaker=anna -F recording=@one.wav -F recording=@two.wav {url}/api/v2/enroll
  curl {header} -F speaker=anna -F recording=@three.wav {url}/api/v2/verify
  curl {url}/health/ready

  WebSocket audio   ws://127.0.0.1:{ports["http"]}/stream/UUID (POST {url}/api/v2/streams gives UUID and ticket)
  Log in            {command_line("127.0.0.1", ports["ssh"], files.ssh_key)}
  Console           tail -f {machine.console_log}
  Operator key      {files.api_key("operator")}

Ctrl-C shuts it down; the data disk is kept for the next boot.
"""
