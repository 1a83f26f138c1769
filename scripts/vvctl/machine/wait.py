"""Waiting for a guest, with signs of life."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from vvctl.machine.errors import MachineError
from vvctl.machine.qemu import Machine

Answer = TypeVar("Answer")


class Waiter:
    """Asks a machine again and again until it gives an answer, stops, or the time is over."""

    def __init__(self, machine: Machine, report: Callable[[str, float, str], None]) -> None:
        """`report` is told every second what is waited for, the seconds since power-on and the last console line."""
        self._machine = machine
        self._report = report

    def until(self, what: str, ask: Callable[[], Answer | None], native_s: float) -> Answer:
        """The first answer of `ask` that is not None; its OSErrors count as no answer.

        `native_s` is the limit in seconds for a guest at native speed.
        Raises MachineError with the end of the console when the machine stops or the time is over.
        """
        machine = self._machine
        limit_s = native_s * machine.emulator.patience
        deadline = time.monotonic() + limit_s
        while True:
            try:
                answer = ask()
            except OSError:
                answer = None
            if answer is not None:
                return answer
            machine.require_running()
            lines = machine.console().strip().splitlines()
            if time.monotonic() > deadline:
                raise MachineError(
                    f"machine {machine.name}: {what} did not come within {limit_s:.0f} s. The console ends with:\n"
                    + "\n".join(lines[-25:]),
                    hint=f"the whole console: {machine.console_log}",
                )
            self._report(what, time.monotonic() - machine.started_at, lines[-1] if lines else "")
            time.sleep(1)
