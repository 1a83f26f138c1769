"""Goes through the states of an upgrade, and back when one fails."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from vvctl.errors import ConfigurationError, VvctlError
from vvctl.upgrade import guard, steps
from vvctl.upgrade.context import ATTEMPTS, Context, Seen
from vvctl.upgrade.errors import (
    ApplianceError,
    LockedByAnother,
    NothingToDo,
    PreflightFailed,
    ProviderError,
    RollbackStuck,
    RolledBack,
    Unfinished,
    WorldChanged,
)
from vvctl.upgrade.history import Decision, Phase
from vvctl.upgrade.steps import State, Step
from vvctl.upgrade.world import Role


class Follower(Protocol):
    """Is told which states an upgrade goes through."""

    def entered(self, step: Step) -> None: ...

    def left(self, step: Step, seconds: float) -> None: ...


@dataclass
class Upgrade:
    """One upgrade, begun or resumed."""

    context: Context
    follower: Follower

    @property
    def phase(self) -> Phase:
        return self.context.record.phase

    def run(self) -> None:
        """Go on to the new system, from wherever the journal and the world say that it is.

        Raises RolledBack when it failed and the old system is in charge again, or the failure itself when nothing was
        changed yet; RollbackStuck when the way back failed, too; Unfinished when the new system is in charge but a
        person must look; and WorldChanged, OutOfSight or JournalFull, with nothing more done, when going on either way
        could do harm.
        """
        record = self.context.record
        try:
            self._go(steps.forward(safety_before_move=self.context.provider.safety_before_move))
        except LockedByAnother as error:
            if not record.left(State.LOCK):
                record.decide(Decision.ENDED, error.message)
            raise
        except (ProviderError, ApplianceError, PreflightFailed) as error:
            if self.phase is not Phase.FORWARD:
                raise _unfinished(error) from error
            record.decide(Decision.ROLLBACK, error.message)
            self._back(error)
            if not record.entered(State.STAGE_NEW):
                raise
            raise RolledBack(f"{error.message}; the old system is in charge again", hint=error.hint) from error

    def resume(self) -> None:
        """Go on with what was decided last. Raises NothingToDo, and as the commands that began it do."""
        match self.phase:
            case Phase.FORWARD:
                for canary in self.context.options.canaries:
                    if not canary.recording.is_file():
                        raise ConfigurationError(f"{canary.recording} is gone", hint="put it back; it must verify")
                self.run()
            case Phase.COMMITTED:
                self._finish()
            case Phase.BACK:
                self._back(None)
            case Phase.FINALIZING:
                self.finalize()
            case Phase.ENDED:
                raise NothingToDo("the upgrade has ended", hint="`vvctl upgrade run` begins another")

    def roll_back(self, why: str) -> None:
        """Return to the old system. Raises NothingToDo when there is no way back, RollbackStuck and JournalFull."""
        if self.phase in {Phase.FINALIZING, Phase.ENDED}:
            raise NothingToDo("the upgrade is final", hint="restore a backup instead")
        self.context.record.decide(Decision.ROLLBACK, why)
        self._back(None)

    def finalize(self) -> None:
        """Give up the way back. Raises NothingToDo unless the new system is in charge, and Unfinished."""
        if self.phase not in {Phase.COMMITTED, Phase.FINALIZING}:
            raise NothingToDo("the new system is not in charge", hint="`vvctl upgrade status` tells what is under way")
        if not self.context.record.decided(Decision.OPENED):
            raise NothingToDo("the upgrade is not finished", hint="`vvctl upgrade resume`")
        try:
            self._go(steps.finalize())
        except (ProviderError, ApplianceError) as error:
            raise _unfinished(error) from error
        self.context.record.decide(Decision.ENDED)

    def _finish(self) -> None:
        """Calls may have come in since, so there is nothing to compare any more."""
        way = steps.finish()
        if way[-1].done(self._look(way[-1])):
            raise NothingToDo(
                "the new system is in charge",
                hint="`vvctl upgrade finalize` gives up the way back, `vvctl upgrade rollback` takes it",
            )
        try:
            self._go(way)
        except (ProviderError, ApplianceError) as error:
            raise _unfinished(error) from error

    def _back(self, why: VvctlError | None) -> None:
        record = self.context.record
        # Before anything was made, and after all was taken back, the lock is all there is.
        only_locked = record.entered(State.UNLOCK) or not record.entered(State.STAGE_NEW)
        try:
            self._go([steps.UNLOCK] if only_locked else steps.back())
        except (ProviderError, ApplianceError, LockedByAnother, WorldChanged) as error:
            reason = f"{why.message}; then the way back failed: " if why is not None else ""
            raise RollbackStuck(
                f"{reason}{error.message}",
                hint="; ".join(
                    filter(
                        None, [error.hint, "no data was deleted, and `vvctl upgrade resume` goes on with the way back"]
                    )
                ),
            ) from error
        record.decide(Decision.ENDED)

    def _go(self, way: Sequence[Step]) -> None:
        for step in way:
            if step.done(self._look(step)):
                continue
            self.follower.entered(step)
            self.context.record.enter(step.state)
            began = time.monotonic()
            self._do(step)
            seconds = time.monotonic() - began
            self.context.record.leave(step.state, seconds)
            self.follower.left(step, seconds)

    def _do(self, step: Step) -> None:
        """Do it, as often as a failure may pass; what counts is what the world looks like afterwards."""
        failure: ProviderError | ApplianceError | None = None
        for attempt in range(ATTEMPTS):
            if attempt:
                self.context.say(f"{step.state}: {failure.message if failure else 'not done yet'}; trying again")
                self.context.pause(attempt - 1)
            try:
                step.do(self.context)
                failure = None
            except (ProviderError, ApplianceError) as error:
                failure = error
            if step.done(self._look(step)):
                return
            if failure is not None and not failure.transient:
                raise failure
        raise failure or ProviderError(f"{step.state} was done {ATTEMPTS} times and had no effect")

    def _look(self, step: Step) -> Seen:
        """What is there, once it is clear that it is safe to go on; raises WorldChanged and OutOfSight."""
        world = self.context.look()
        if world.runs(Role.NEW) and world.data_at is not Role.OLD:
            # Also when it was not this upgrade that started it.
            self.context.record.decide(Decision.MAY_WRITE)
        seen = self.context.seen(world)
        guard.check(seen, step)
        return seen


def _unfinished(error: VvctlError) -> Unfinished:
    return Unfinished(
        f"the new system is in charge, but the last step failed: {error.message}",
        hint="; ".join(filter(None, [error.hint, "`vvctl upgrade resume` finishes it"])),
    )
