"""What can go wrong in an upgrade."""

from __future__ import annotations

from vvctl.errors import VvctlError


class ProviderError(VvctlError):
    """A call to the hypervisor or cloud failed. Whether it had its effect is known only from another look.

    `transient`: the same call may succeed in a moment.
    """

    code = "provider"

    def __init__(self, message: str, *, hint: str = "", transient: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.transient = transient


class LockedByAnother(VvctlError):
    """Another upgrade of the same machine is under way, from this computer or another one."""

    code = "locked_by_another"


class PreflightFailed(VvctlError):
    """Something stands in the way of the upgrade; nothing was changed."""

    code = "preflight"


class WorldChanged(VvctlError):
    """Somebody else changed the machines meanwhile, so that going on could harm the data; nothing was done."""

    code = "world_changed"
    exit_status = 3


class OutOfSight(VvctlError):
    """The platform cannot be asked any more, so nothing was decided."""

    code = "out_of_sight"
    exit_status = 3


class Unfinished(VvctlError):
    """The new system is in charge, but the last step failed."""

    code = "unfinished"
    exit_status = 3


class ApplianceError(VvctlError):
    """The appliance did not answer, refused, or is not as it was before.

    `transient`: it may answer in a moment.
    """

    code = "appliance"

    def __init__(self, message: str, *, hint: str = "", transient: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.transient = transient


class RolledBack(VvctlError):
    """The upgrade failed, and the machine is again as it was before."""

    code = "rolled_back"


class RollbackStuck(VvctlError):
    """The way back failed, too: the data is safe, a person has to look."""

    code = "rollback_stuck"
    exit_status = 3


class NothingToDo(VvctlError):
    """The command does not fit the state of the upgrade."""

    code = "nothing_to_do"


class UnderWay(VvctlError):
    """Another upgrade has to come to its end first."""

    code = "under_way"
