"""What can go wrong with a machine, and running the programs around it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence

from vvctl.errors import CommandFailed, MissingTool, VvctlError


class MachineError(VvctlError):
    """A machine did not start, stop or answer as it should."""

    code = "machine"


def run(command: Sequence[str], *, package: str) -> str:
    """Standard output of `command`.

    Raises MissingTool, which names the Debian package, or CommandFailed with the last lines of its messages.
    """
    if shutil.which(command[0]) is None:
        raise MissingTool(f"{command[0]} is not installed", hint=f"apt-get install {package}")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = "\n".join((done.stderr or done.stdout).strip().splitlines()[-5:])
        raise CommandFailed(f"{' '.join(command)} ended with status {done.returncode}:\n{last}")
    return done.stdout
