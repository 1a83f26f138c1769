"""The appliance brought to rest: no call, nothing that changes, everything on the disk."""

from __future__ import annotations

from collections.abc import Callable

from vvctl.upgrade.context import Context
from vvctl.upgrade.errors import ApplianceError
from vvctl.upgrade.history import Before, Decision
from vvctl.upgrade.world import Role

BACKUP, RESCUE = "voice-verify.backup.gz", "voice-verify-after.backup.gz"
# Until streams that were told to end have ended.
_FORCED_S = 60.0
# For a new system that shall be given up to say that it still works.
_ANSWER_S = 60.0


def quiesce(context: Context) -> None:
    """Let no call in, wait for the running ones, note what there is, shut the old system down.

    Raises ApplianceError.
    """
    if context.record.before is not None:
        # A process that was cut off may have told it to shut down.
        _wait_down(context, _going_down)
    if context.look().runs(Role.OLD):
        context.record.decide(Decision.QUIET)
        drain(context)
        inventory = context.appliance.inventory()
        context.say("making a backup")
        digest = context.appliance.backup(context.record.directory / BACKUP)
        context.record.note_before(Before(inventory, BACKUP, digest))
    elif context.record.before is None:
        raise ApplianceError("the old system is off, so nobody knows what is on its data disk", hint="start it")
    shut_down(context)


def rescue(context: Context) -> None:
    """Keep what the new system took in while it was in charge, if it still answers.

    Raises ApplianceError when it answers and refuses, or when calls go on.
    """
    limit_s = min(_ANSWER_S, context.options.start_s)
    if not context.until("the new system answers", lambda: _silence(context), limit_s):
        context.say("no backup of the new system: it does not answer")
        return
    drain(context)
    context.appliance.backup(context.record.directory / RESCUE)


def drain(context: Context) -> None:
    """Maintenance mode, and wait for the running calls; raises ApplianceError when they go on too long."""
    context.appliance.enter_maintenance()
    if context.until("calls end", lambda: _running(context), context.options.drain_s):
        return
    if not context.options.force_off:
        raise ApplianceError(
            f"calls were still running after {context.options.drain_s:.0f} s",
            hint="try again when it is quieter, wait longer with --drain, or end them with --force-off",
        )
    context.appliance.force_off()
    if not context.until("calls end", lambda: _running(context), _FORCED_S):
        raise ApplianceError("calls did not end when they were told to", hint="see the log of the appliance")


def let_in(context: Context) -> None:
    """Leave maintenance mode, once the appliance answers; raises ApplianceError."""
    failure: ApplianceError | None = None

    def closed() -> str | None:
        nonlocal failure
        try:
            context.appliance.leave_maintenance()
        except ApplianceError as error:
            if not error.transient:
                raise
            failure = error
            return error.message
        return None

    if not context.until("the appliance lets calls in", closed, context.options.start_s) and failure is not None:
        raise failure


def shut_down(context: Context) -> None:
    """Have the old system shut down in order; raises ApplianceError when its guest does not.

    It is not switched off: a guest that hangs may still hold what it has not written.
    """
    context.provider.ask_to_stop(Role.OLD)
    _wait_down(context, lambda context: "it still runs" if context.look().runs(Role.OLD) else None)


def _wait_down(context: Context, up: Callable[[Context], str | None]) -> None:
    if not context.until("the old system shuts down", lambda: up(context), context.options.shutdown_s):
        raise ApplianceError(
            f"the old system did not shut down within {context.options.shutdown_s:.0f} s",
            hint="look at its console; restart it, and try again",
        )


def _going_down(context: Context) -> str | None:
    """Why it may still be on its way down; None when it is off, or answers."""
    old = context.look().old
    if old is None or not old.running:
        return None
    return "it is stopping" if old.stopping else _silence(context)


def _silence(context: Context) -> str | None:
    """Why the appliance cannot be talked to, for now; raises ApplianceError when it refuses."""
    try:
        context.appliance.running_streams()
    except ApplianceError as error:
        if not error.transient:
            raise
        return error.message
    return None


def _running(context: Context) -> str | None:
    running = context.appliance.running_streams()
    return f"{running} running" if running else None
