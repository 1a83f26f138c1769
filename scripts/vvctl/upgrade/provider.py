"""What an upgrade asks of a hypervisor or cloud."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from vvctl.upgrade.plan import Effect, Finding
from vvctl.upgrade.release import Release
from vvctl.upgrade.world import Role, World


class Provider(Protocol):
    """One appliance on one platform, with the image that it shall get, and the id of the upgrade.

    Every method that changes something first looks whether that is done, so that it may be called again after a crash
    at any instant; it raises ProviderError, and the effect counts, not the answer. None of them deletes or overwrites a
    data disk. What an upgrade makes carries its id, so that it is found again without the journal.
    """

    name: str
    # Whether the point to return to is made before the data disk is moved, or after.
    safety_before_move: bool

    def target(self) -> Release:
        """What the image holds."""
        ...

    def observe(self) -> World:
        """Look at everything anew; nothing is remembered from the last look."""
        ...

    def preflight(self) -> Sequence[Finding]:
        """All that stands in the way, found without changing anything."""
        ...

    def effects(self) -> Sequence[Effect]:
        """What each state touches."""
        ...

    def lock(self) -> None:
        """Take the appliance for this upgrade, by compare-and-set; raises LockedByAnother with who has it."""
        ...

    def unlock(self) -> None:
        """Give it back, when this upgrade has it."""
        ...

    def stage_new(self) -> None:
        """Make the new system from the image, off, without a data disk and unreachable."""
        ...

    def discard_new(self) -> None:
        """Delete the new system; refuses while the data disk is attached to it."""
        ...

    def ask_to_stop(self, role: Role) -> None:
        """Tell the guest to shut down in order; it may take its time."""
        ...

    def cut_power(self, role: Role) -> None:
        """Switch it off at once."""
        ...

    def start(self, role: Role) -> None:
        """Switch it on."""
        ...

    def move_data(self, to: Role) -> None:
        """Attach the data disk to that system and to no other; both are off."""
        ...

    def take_safety(self) -> None:
        """Make the point to which the data disk can be put back; no system runs."""
        ...

    def restore_safety(self) -> None:
        """Put the data disk back to that point; no system runs. Once done, again does nothing."""
        ...

    def drop_safety(self) -> None:
        """Give up the point."""
        ...

    def move_identity(self, to: Role) -> None:
        """Make that system the one that is reached under the appliance's addresses, and the other one unreachable."""
        ...

    def mark_active(self, role: Role) -> None:
        """Show on the platform which system is in charge: names, tags."""
        ...

    def retire(self, role: Role) -> None:
        """Delete the system that is no longer in charge; refuses while the data disk is attached to it."""
        ...
