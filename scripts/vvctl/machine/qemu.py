"""A virtual machine under QEMU: started, watched and always cleaned up by the process that made it."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from vvctl.machine.command import Hardware, block_device, command_line
from vvctl.machine.emulator import Emulator
from vvctl.machine.errors import EmulatorAborted, MachineError
from vvctl.machine.nic import Nic
from vvctl.machine.qmp import Qmp


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
            *command_line(
                self.name,
                self.directory,
                disks=self._disks,
                nic=self._nic,
                hardware=self._hardware,
                emulator=self.emulator,
                disc=self._disc,
                control=f"socket,id=qmp,fd={far_end.fileno()}",
            ),
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
        """Raise MachineError with QEMU's last words when the machine has stopped by itself.

        It is EmulatorAborted when QEMU ended itself over a broken assertion.
        """
        if not self.running:
            aborted = self._process is not None and self._process.returncode == -signal.SIGABRT
            error = EmulatorAborted if aborted else MachineError
            raise error(f"machine {self.name} stopped: {self._messages() or 'it was shut down'}")

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
        self.qmp.execute("blockdev-add", **{"node-name": name, **block_device(image, self._hardware.cache)})
        self.qmp.execute("device_add", driver="scsi-hd", bus="scsi0.0", drive=name, id=f"{name}-drive")

    def detach_disk(self, name: str) -> None:
        """Pull a disk, `disk0` and so on for those of the start; the guest sees it go a moment later."""
        self.qmp.execute("device_del", id=f"{name}-drive")

    def insert_disc(self, image: Path) -> None:
        """Put another ISO image into the drive of the disc that was there at the start, whatever holds its tray."""
        self.qmp.execute("blockdev-change-medium", id="drive0", filename=str(image), format="raw", force=True)

    def snapshot(self, images: Sequence[Path]) -> list[Path]:
        """Freeze the running machine's disks at one moment, as a hypervisor's snapshot without memory does.

        From then on each writes to the new one of `images` in its place. Returns the frozen images.
        """
        frozen, self._disks = list(self._disks), list(images)
        actions = [
            {
                "type": "blockdev-snapshot-sync",
                "data": {
                    "node-name": f"disk{index}",
                    "snapshot-file": str(image),
                    "snapshot-node-name": f"{image.stem}",
                    "format": "qcow2",
                },
            }
            for index, image in enumerate(images)
        ]
        self.qmp.execute("transaction", actions=actions)
        return frozen

    def _messages(self) -> str:
        with suppress(FileNotFoundError):
            return (self.directory / "qemu.log").read_text(encoding="utf-8", errors="replace").strip()[-1000:]
        return ""
