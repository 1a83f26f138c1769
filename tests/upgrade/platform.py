"""What the fault matrix asks of a platform: a world to upgrade in, faults, and an independent look at it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from tests.doubles.appliance import Behaviour, Fault

# Systems are named by what they were when the world was made.
OLD, NEW = "old", "new"


@dataclass(frozen=True)
class Observed:
    """One moment of the world as it is, read from the double's own state or the real thing, never through vvctl.

    Systems are OLD and NEW, or whatever else they are called when they should not be there.
    """

    # Every system that exists, whole or in part.
    systems: frozenset[str]
    running: frozenset[str]
    # Which systems have the data disk attached.
    data_at: frozenset[str]
    # Which systems would be reached under the appliance's addresses, running or not.
    identity_at: frozenset[str]
    # Which system the platform shows as the one in charge: a name, a tag, a link.
    in_charge: str | None
    # Whose id the lock holds.
    lock: str | None
    # Whether there is a point in time to return to.
    safety: bool
    # What is on the data disk, but for what grows with every request (`Data.kept()`); None: the disk is gone.
    records: dict[str, list[str]] | None
    format_epoch: int | None
    # Whether calls are refused, by what is on the data disk.
    maintenance: bool
    # Anything else that an upgrade made and that is still there; a data disk kept on purpose is not in it.
    leftovers: frozenset[str] = field(default_factory=frozenset)


class Calls(Protocol):
    """A place where mutating calls are counted and go wrong."""

    def mutations(self) -> list[str]:
        """The mutating calls since the last reset, in order, by name; each attempt of a client counts."""
        ...

    def arm(self, kind: Fault, nth: int) -> None:
        """`kind` happens to the `nth` mutating call since the reset (the first is 1), once."""
        ...

    def victim(self, pid: int) -> None:
        """Who is killed by KILL_BEFORE and KILL_AFTER."""
        ...


class Platform(Calls, Protocol):
    """A platform on which the real `vvctl upgrade` is run. It is used from one thread."""

    name: str
    # The kinds that can happen there; a platform without a wire has no lost answers.
    faults: frozenset[Fault]
    # The appliance's own mutating calls, numbered apart; None where a real guest answers, which counts nothing.
    appliance: Calls | None

    def env(self) -> dict[str, str]:
        """What to add to the environment of vvctl: endpoints, credentials, VV_API_KEY."""
        ...

    def run_arguments(self) -> list[str]:
        """What follows `vvctl upgrade run` (and `plan`): the provider, its options, --url; no --journal, no --yes."""
        ...

    def reset(self, new: Behaviour = Behaviour.HEALTHY, old: Behaviour = Behaviour.HEALTHY) -> None:
        """A fresh world: the old system (version A) runs in charge with the data disk, an image of B is at hand.

        `new` is how the system from that image will behave, `old` how the old one does. Counts and faults go.
        """
        ...

    def observe(self) -> Observed:
        """Look, independently of vvctl."""
        ...
