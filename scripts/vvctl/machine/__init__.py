"""QEMU machines that boot the packaged disks: for `vvctl boot` and for the boot tests."""

from __future__ import annotations

from vvctl.machine.archive import PackagedDisks, unpack
from vvctl.machine.command import Bus, Hardware
from vvctl.machine.disk import CacheMode, copy, overlay
from vvctl.machine.emulator import Emulator, choose
from vvctl.machine.environment import write_environment_disc
from vvctl.machine.errors import EmulatorAborted, MachineError
from vvctl.machine.network import Network
from vvctl.machine.nic import TapNic, UserNic
from vvctl.machine.qemu import Machine
from vvctl.machine.ssh import Shell, make_key
from vvctl.machine.wait import Waiter

__all__ = [
    "Bus",
    "CacheMode",
    "Emulator",
    "EmulatorAborted",
    "Hardware",
    "Machine",
    "MachineError",
    "Network",
    "PackagedDisks",
    "Shell",
    "TapNic",
    "UserNic",
    "Waiter",
    "choose",
    "copy",
    "make_key",
    "overlay",
    "unpack",
    "write_environment_disc",
]
