"""What a provider sees when it looks: two systems, one data disk, an identity, a lock.

A *system* is what an upgrade exchanges: on VMware and QEMU a virtual machine, on AWS the root volume of an instance
that stays. The *identity* is by what the appliance is reached: MAC and IP address.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """Which of the two systems."""

    OLD = "old"
    NEW = "new"

    @property
    def other(self) -> Role:
        return Role.NEW if self is Role.OLD else Role.OLD


@dataclass(frozen=True)
class System:
    """A system as it was found. `staged`: all that belongs to it is there, and it could be started.

    `stopping`: it still runs, and was told to stop where nobody can take that back.
    """

    id: str
    name: str
    running: bool
    staged: bool = True
    stopping: bool = False


@dataclass(frozen=True)
class World:
    """One look. What is not there is None; `foreign`: who else has the data disk, which must be nobody.

    `safety` is the point in time to which the data disk can be put back, `active` the system that is marked as the
    one in charge.
    """

    old: System | None
    new: System | None
    data_id: str | None
    data_at: Role | None
    foreign: str | None
    safety: str | None
    identity_at: Role | None
    active: Role | None
    lock: str | None

    def system(self, role: Role) -> System | None:
        return self.old if role is Role.OLD else self.new

    def runs(self, role: Role) -> bool:
        system = self.system(role)
        return system is not None and system.running
