"""What goes wrong at the Nth mutating call of a double, in the words of the upgrade's fault matrix."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

# Longer than a poll of the tests, shorter than any time limit.
SLOW_S = 2.0


class Fault(StrEnum):
    """What happens to a call."""

    # Refused for good: nothing is done.
    REFUSE = "refuse"
    # The connection breaks before, or after, it is carried out; nobody hears of it.
    LOST_BEFORE = "lost_before"
    LOST_AFTER = "lost_after"
    SLOW = "slow"
    # 503: nothing is done, and again may succeed.
    UNAVAILABLE = "unavailable"
    # The caller is killed before, or after, it is carried out.
    KILL_BEFORE = "kill_before"
    KILL_AFTER = "kill_after"


class Refused(Exception):
    """The call is answered with a refusal."""


class Unavailable(Exception):
    """The call is answered with 503."""


class HungUp(Exception):
    """The call is never answered: the connection is closed."""


class Faults:
    """Numbers the mutating calls, the first is 1, and does harm at one of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._victim = 0
        self.reset()

    def reset(self) -> None:
        with self._lock:
            self._calls: list[str] = []
            self._armed: dict[int, Fault] = {}

    def arm(self, kind: Fault, nth: int) -> None:
        """`kind` happens to the `nth` mutating call since the reset."""
        with self._lock:
            self._armed[nth] = kind

    def victim(self, pid: int) -> None:
        """Who is killed by KILL_BEFORE and KILL_AFTER."""
        self._victim = pid

    def mutations(self) -> list[str]:
        """The mutating calls since the reset, in order, those with a fault as well."""
        with self._lock:
            return list(self._calls)

    @contextmanager
    def mutation(self, name: str) -> Iterator[None]:
        """The call `name` is carried out inside; raises Refused, Unavailable, or HungUp before or after it."""
        with self._lock:
            self._calls.append(name)
            fault = self._armed.get(len(self._calls))
        match fault:
            case Fault.REFUSE:
                raise Refused
            case Fault.UNAVAILABLE:
                raise Unavailable
            case Fault.LOST_BEFORE:
                raise HungUp
            case Fault.SLOW:
                time.sleep(SLOW_S)
            case Fault.KILL_BEFORE:
                self._kill()
        yield
        match fault:
            case Fault.LOST_AFTER:
                raise HungUp
            case Fault.KILL_AFTER:
                self._kill()

    def _kill(self) -> None:
        os.kill(self._victim, signal.SIGKILL)
        raise HungUp
