"""An appliance without calls, for as long as something needs that."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from vvctl.backup.errors import CallsGoOn
from vvctl.upgrade.appliance import Appliance
from vvctl.upgrade.errors import ApplianceError

_POLL_S = 0.5
# Until streams that were told to end have ended.
_FORCED_S = 60.0


@dataclass(frozen=True)
class Patience:
    """`drain_s`: how long running calls may go on; `force_off`: then they are ended."""

    drain_s: float = 600.0
    force_off: bool = False


@contextmanager
def quiet(appliance: Appliance, patience: Patience, say: Callable[[str], None]) -> Iterator[None]:
    """Maintenance mode and no call, and afterwards as it was. Raises CallsGoOn and ApplianceError."""
    if appliance.in_maintenance:
        end_calls(appliance, patience, say)
        yield
        return
    try:
        enter(appliance, patience, say)
        yield
    finally:
        _leave(appliance)


def enter(appliance: Appliance, patience: Patience, say: Callable[[str], None]) -> None:
    """Maintenance mode, and wait for the running calls. Raises CallsGoOn and ApplianceError."""
    appliance.enter_maintenance()
    end_calls(appliance, patience, say)


def _leave(appliance: Appliance) -> None:
    try:
        appliance.leave_maintenance()
    except ApplianceError as error:
        raise ApplianceError(
            error.message, hint="it may still refuse calls; once it answers: `vvctl maintenance off`"
        ) from error


def end_calls(appliance: Appliance, patience: Patience, say: Callable[[str], None]) -> None:
    """Wait until no call runs. Raises CallsGoOn and ApplianceError."""
    if _ended(appliance, patience.drain_s, say):
        return
    if not patience.force_off:
        raise CallsGoOn(
            f"calls were still running after {patience.drain_s:.0f} s",
            hint="try again when it is quieter, wait longer with --drain, or end them with --force-off",
        )
    appliance.force_off()
    if not _ended(appliance, _FORCED_S, say):
        raise CallsGoOn("calls did not end when they were told to", hint="see the log of the appliance")


def _ended(appliance: Appliance, seconds: float, say: Callable[[str], None]) -> bool:
    deadline = time.monotonic() + seconds
    while running := appliance.running_streams():
        if time.monotonic() >= deadline:
            return False
        say(f"{running} running")
        time.sleep(_POLL_S)
    return True
