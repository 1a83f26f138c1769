"""A virtual machine under QEMU: started, watched and always cleaned up by the process that made it."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from vvctl.errors import MissingTool
from vvctl.machine.disk import CacheMode
from vvctl.machine.emulator import Emulator
from vvctl.machine.errors import MachineError
from vvctl.machine.nic import Nic
from vvctl.machine.qmp import Qmp

_OVMF = Path("/usr/share/OVMF")


class Bus(StrEnum):
    """Where the disks are: as VMware attaches them, or as AWS Nitro does."""

    PVSCSI = "pvscsi"
    NVME = "nvme"


@dataclass(frozen=True)
class Hardware:
    """What the machine is made of."""

    firmware: Literal["bios", "efi"]
    bus: Bus = Bus.PVSCSI
    network_card: str = "vmxnet3"
    cores: int = 2
    # Below 2816 MiB QEMU's q35 puts no memory above 4 GiB. With some there, SeaBIOS 1.16.3 places the registers of NVMe
    # controllers up there as well, where it cannot reach them, and finds nothing to boot from.
    memory_mb: int = 2560
    cache: CacheMode = CacheMode.DURABLE


class Machine:
    """One power-on of a set of disks.

    The first disk is the one that boots. The console is logged to `directory`/console.log, QEMU's own messages to
    `directory`/qemu.log. As a context manager it starts on entry and is gone on exit, whatever happened; QEMU also ends
    when this process is killed.
    """

    def __init__(
        self,
        name: str,
        directory: Path,
        *,
        disks: Sequence[Path],
        nic: Nic,
        hardware: Hardware,
        emulator: Emulator,
        disc: Path | None = None,
    ) -> None:
        """`disks` are files that the guest writes to, raw when called *.raw, else qcow2; `disc` is an ISO image."""
        self.name = name
        self.directory = directory
        self.console_log = directory / "console.log"
        self.emulator = emulator
        self.started_at = 0.0
        self._disks = disks
        self._nic = nic
        self._hardware = hardware
        self._disc = disc
        self._process: subprocess.Popen[bytes] | None = None
        self._qmp: Qmp | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self) -> None:
        """Power on. Must be called on the main thread: QEMU ends with the thread that started it.

        Raises MissingTool without QEMU, MachineError when it does not start.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        control, far_end = socket.socketpair()
        command = [
            *("setpriv", "--pdeathsig", "KILL", "--"),
            *self._nic.prefix(),
            *self._command(control_descriptor=far_end.fileno()),
        ]
        with far_end, (self.directory / "qemu.log").open("wb") as log:
            # A session of its own: Ctrl-C in the terminal is for us, the guest is shut down in order.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[far_end.fileno()],
                start_new_session=True,
            )
        self.started_at = time.monotonic()
        try:
            self._qmp = Qmp(control, timeout_s=20 * self.emulator.patience)
        except MachineError as error:
            self.kill()
            raise MachineError(f"QEMU did not start: {self._messages() or error.message}") from error

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def qmp(self) -> Qmp:
        """The control connection; raises MachineError when the machine was not started."""
        if self._qmp is None:
            raise MachineError(f"machine {self.name} is off")
        return self._qmp

    def require_running(self) -> None:
        """Raise MachineError with QEMU's last words when the machine has stopped by itself."""
        if not self.running:
            raise MachineError(f"machine {self.name} stopped: {self._messages() or 'it was shut down'}")

    def console(self) -> str:
        """What the guest has written to its serial console so far."""
        with suppress(FileNotFoundError):
            return self.console_log.read_text(encoding="utf-8", errors="replace")
        return ""

    def reset(self) -> None:
        """Press the reset button: the guest has no chance to write anything."""
        self.qmp.execute("system_reset")

    def power_button(self) -> None:
        """Press the power button: the guest begins to shut down in order."""
        self.qmp.execute("system_powerdown")

    def wait_off(self, timeout_s: float) -> bool:
        """Wait until the guest has powered itself off; whether it has."""
        if self._process is None:
            return True
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        self.kill()
        return True

    def shut_down(self) -> None:
        """Shut the guest down in order and wait for it.

        Raises MachineError, with the machine killed, when the guest takes no notice.
        """
        if not self.running:
            self.kill()
            return
        self.power_button()
        if not self.wait_off(15 * self.emulator.patience):
            self.kill()
            raise MachineError(f"machine {self.name} did not shut down in time and was switched off")

    def kill(self) -> None:
        """Cut the power. Does nothing when the machine is off."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        if self._qmp is not None:
            self._qmp.close()
        self._process = self._qmp = None

    def attach_disk(self, image: Path, name: str) -> None:
        """Plug `image` into the running machine's SCSI controller as `name`."""
        self.qmp.execute("blockdev-add", **{"node-name": name, **self._block_device(image)})
        self.qmp.execute("device_add", driver="scsi-hd", bus="scsi0.0", drive=name, id=f"{name}-drive")

    def detach_disk(self, name: str) -> None:
        """Pull a disk, `disk0` and so on for those of the start; the guest sees it go a moment later."""
        self.qmp.execute("device_del", id=f"{name}-drive")

    def _messages(self) -> str:
        with suppress(FileNotFoundError):
            return (self.directory / "qemu.log").read_text(encoding="utf-8", errors="replace").strip()[-1000:]
        return ""

    def _command(self, *, control_descriptor: int) -> list[str]:
        hardware = self._hardware
        command = [
            *self.emulator.command,
            *("-name", self.name, "-no-user-config", "-nodefaults", "-vga", "std", "-display", "none"),
            *self.emulator.arguments,
            *("-smp", str(hardware.cores), "-m", str(hardware.memory_mb)),
            *("-object", "rng-random,id=rng0,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=rng0"),
            *("-chardev", f"socket,id=qmp,fd={control_descriptor}", "-mon", "chardev=qmp,mode=control"),
            *("-chardev", f"file,id=console,path={self.console_log}", "-serial", "chardev:console"),
            *("-netdev", f"{self._nic.backend()}id=net0"),
            *("-device", f"{hardware.network_card},netdev=net0,romfile="),
            # On NVMe as well, for disks that are plugged in later.
            *("-device", "pvscsi,id=scsi0"),
        ]
        if hardware.firmware == "efi":
            command += self._efi_variables()
        for index, image in enumerate(self._disks):
            node = f"disk{index}"
            device = "nvme,serial=vv" if hardware.bus == Bus.NVME else "scsi-hd,bus=scsi0.0,scsi-id="
            command += ["-blockdev", json.dumps({"node-name": node, **self._block_device(image)})]
            command += ["-device", f"{device}{index},drive={node},id={node}-drive,bootindex={index}"]
        if self._disc is not None:
            disc = {"driver": "file", "filename": str(self._disc)}
            command += [
                "-blockdev",
                json.dumps({"node-name": "disc", "driver": "raw", "read-only": True, "file": disc}),
            ]
            command += ["-device", "ide-cd,drive=disc"]
        return command

    def _block_device(self, image: Path) -> dict[str, object]:
        cache = {"no-flush": self._hardware.cache == CacheMode.THROW_AWAY, "direct": False}
        return {
            "driver": "raw" if image.suffix == ".raw" else "qcow2",
            "discard": "unmap",
            "cache": cache,
            "file": {"driver": "file", "filename": str(image), "discard": "unmap", "cache": cache},
        }

    def _efi_variables(self) -> list[str]:
        """Arguments for OVMF, with variables of this machine's own."""
        code, template = _OVMF / "OVMF_CODE_4M.fd", _OVMF / "OVMF_VARS_4M.fd"
        if not code.exists():
            raise MissingTool(f"{code} is missing", hint="apt-get install ovmf")
        variables = self.directory / "efi-variables.fd"
        if not variables.exists():
            shutil.copyfile(template, variables)
        drive = "if=pflash,format=raw"
        return ["-drive", f"{drive},readonly=on,file={code}", "-drive", f"{drive},file={variables}"]
