"""What can go wrong with a machine, and running the programs around it."""

from __future__ import annotations

from collections.abc import Sequence

from vvctl.errors import VvctlError
from vvctl.image import run as programs


class MachineError(VvctlError):
    """A machine did not start, stop or answer as it should."""

    code = "machine"


class EmulatorAborted(MachineError):
    """QEMU found a mistake of its own and ended itself; the guest lost its power through no fault of its own."""

    code = "emulator_aborted"


def require(program: str, *, package: str) -> None:
    """Raise MissingTool, which names the Debian package, when `program` is not installed."""
    programs.require_tools([program], hint=f"apt-get install {package}")


def run(command: Sequence[str], *, package: str) -> str:
    """Standard output of `command`, from Debian's `package`; raises MissingTool or CommandFailed."""
    require(command[0], package=package)
    return programs.run(command)
