"""What goes wrong on the Nth call: refused, never done, or done without an answer."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Literal

Kind = Literal["refuse", "drop_before", "drop_after", "unavailable", "throttle"]


@dataclass
class Fault:
    """`kind` happens to the call `nth` (the first is 1) of `operation`, or of all; `times` calls in a row."""

    kind: Kind
    nth: int
    operation: str | None = None
    times: int = 1
    code: str = "InternalFailure"
    reason: str = ""


class Faults:
    """The faults that are armed; each call is counted once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._armed: list[tuple[Fault, list[int]]] = []

    def arm(self, *faults: Fault) -> None:
        with self._lock:
            self._armed = [(fault, [0]) for fault in faults]

    def take(self, operation: str) -> Fault | None:
        """What happens to this call."""
        struck = None
        with self._lock:
            for fault, seen in self._armed:
                if fault.operation in {None, operation}:
                    seen[0] += 1
                    if fault.nth <= seen[0] < fault.nth + fault.times:
                        struck = fault
        return struck
