"""QEMU as a daemon that outlives vvctl: started, asked to stop, switched off, and told apart from any other process."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from vvctl.machine.command import command_line
from vvctl.machine.emulator import choose
from vvctl.machine.errors import MachineError
from vvctl.machine.nic import UserNic
from vvctl.machine.qmp import Qmp
from vvctl.upgrade.errors import ProviderError
from vvctl.upgrade.local.home import Home, SystemDirectory

# struct flock of Linux on 64 bits: type, whence, start, length, process.
_FLOCK = struct.Struct("hhqqi0q")
_START_S, _QMP_S, _OFF_S = 120, 30, 10


def process(system: SystemDirectory) -> int | None:
    """The id of the QEMU that runs the system; None when it is off.

    QEMU keeps its pid file locked as long as it lives, so a number that another process got later is not believed.
    """
    try:
        with system.pid.open("rb") as file:
            asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            kind, _, _, _, pid = _FLOCK.unpack(fcntl.fcntl(file, fcntl.F_GETLK, asked))
    except FileNotFoundError:
        return None
    return pid if kind != fcntl.F_UNLCK else None


def start(home: Home, system: SystemDirectory) -> None:
    """Switch it on; QEMU itself refuses when its disks are open elsewhere. Raises ProviderError."""
    if process(system) is not None:
        return
    if not system.network.exists():
        raise ProviderError(f"{system.name} has no network", hint="the other system of the machine has it")
    network = json.loads(system.network.read_text(encoding="utf-8"))
    described = home.described()
    command = [
        *command_line(
            home.path.name,
            system.path,
            # QEMU looks for what an image rests on beside the name that it is given.
            disks=[system.disk, system.data.resolve()],
            nic=UserNic({int(port): guest for port, guest in network["forwards"].items()}, mac=network["mac"]),
            hardware=home.hardware(),
            emulator=choose(Path(described["emulator_cache"]), described["suite"]),
            disc=home.properties if home.properties.exists() else None,
            # Its path would be too long for a socket.
            control="socket,id=qmp,path=qmp.sock,server=on,wait=off",
        ),
        *("-pidfile", str(system.pid), "-daemonize"),
    ]
    done = subprocess.run(
        command,
        cwd=system.path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_START_S,
        check=False,
        # Ctrl-C is for vvctl.
        start_new_session=True,
    )
    if done.returncode != 0:
        raise ProviderError(f"{system.name} does not start: {done.stderr.strip()[-500:]}")


def power_button(system: SystemDirectory) -> None:
    """Have the guest shut down. Raises ProviderError."""
    if process(system) is not None:
        with control(system) as qmp:
            qmp.execute("system_powerdown")


def cut(system: SystemDirectory) -> None:
    """Switch it off at once; raises ProviderError when QEMU stays."""
    pid = process(system)
    if pid is None:
        return
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + _OFF_S
    while process(system) == pid:
        if time.monotonic() > deadline:
            raise ProviderError(f"{system.name} was killed and still runs", transient=True)
        time.sleep(0.05)


@contextmanager
def control(system: SystemDirectory) -> Iterator[Qmp]:
    """The control connection of a system that runs. Raises ProviderError."""
    directory = os.open(system.path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(_QMP_S)
        connection.connect(f"/proc/self/fd/{directory}/qmp.sock")
        with closing(Qmp(connection, timeout_s=_QMP_S)) as qmp:
            yield qmp
    except (OSError, MachineError) as error:
        raise ProviderError(f"QEMU of {system.name} does not answer: {error}", transient=True) from error
    finally:
        os.close(directory)
