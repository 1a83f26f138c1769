"""Somebody who upgrades: the real vvctl, with a journal."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .platform import Platform

VVCTL = Path(sys.executable).with_name("vvctl")
QUICK = ("--poll", "0.05", "--start-within", "8", "--shutdown-within", "3")


@dataclass(frozen=True)
class Ended:
    """How vvctl ended. `said`: what it wrote."""

    status: int
    said: str


@dataclass
class Operator:
    """`prefix` comes before vvctl, and `environment` is added to that of the platform."""

    platform: Platform
    journal: Path
    quick: Sequence[str] = QUICK
    prefix: Sequence[str] = ()
    environment: dict[str, str] = field(default_factory=dict)

    def begin(self, *command: str) -> subprocess.Popen[str]:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("VV_", "AWS_"))}
        process = subprocess.Popen(
            [*self.prefix, VVCTL, "upgrade", *command, "--journal", self.journal],
            env=inherited | self.platform.env() | {"COLUMNS": "1000"} | self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for calls in filter(None, (self.platform, self.platform.appliance)):
            calls.victim(process.pid)
        return process

    def begin_run(self, *options: str) -> subprocess.Popen[str]:
        """The upgrade."""
        return self.begin("run", *self.platform.run_arguments(), "--no-canary", "--yes", *self.quick, *options)

    def end(self, process: subprocess.Popen[str]) -> Ended:
        said, _ = process.communicate(timeout=240)
        return Ended(process.returncode, said)

    def run(self, *options: str) -> Ended:
        return self.end(self.begin_run(*options))

    def take_up(self, *command: str) -> Ended:
        return self.end(self.begin(*command))
