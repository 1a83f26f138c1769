"""Which way the identity goes: from the data disk to a new system disk, or from this machine to the data disk."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from .store import Identity, Mark, Store
from .system import System

#: What the console knows.
OWN, TAKEN, KEPT, UNCHANGED, INCOMPLETE, ANOTHER = "own", "taken", "kept", "unchanged", "incomplete", "another"


@dataclass(frozen=True)
class Outcome:
    """`restart`: units that must read their files anew."""

    state: str
    restart: tuple[str, ...] = ()


def take(system: System, store: Store) -> Outcome:
    """Become the appliance of the data disk, unless this system disk is one already. Raises Damaged and OSError."""
    if system.mark is not None:
        return Outcome(UNCHANGED)
    stored = store.load()
    if stored is None:
        return Outcome(OWN)
    return Outcome(TAKEN, tuple(system.install(stored)))


def keep(system: System, store: Store) -> Outcome:
    """Write what has changed to the data disk. Raises Damaged and OSError."""
    contents, mark, stored = system.contents(), system.mark, store.load()
    if contents is None:
        return Outcome(INCOMPLETE)
    if stored is None:
        return _save(system, store, Identity(Mark(secrets.token_hex(8), 1), contents))
    if mark is not None and mark.id == stored.mark.id:
        if contents == stored.contents:
            if mark != stored.mark:
                # The power failed between both.
                system.set_mark(stored.mark)
            return Outcome(UNCHANGED)
        if mark.generation >= stored.mark.generation:
            return _save(system, store, Identity(Mark(mark.id, mark.generation + 1), contents))
    # Keys and address are in use: the next start takes over the disk's.
    system.set_mark(None)
    return Outcome(ANOTHER)


def _save(system: System, store: Store, identity: Identity) -> Outcome:
    store.save(identity)
    system.set_mark(identity.mark)
    return Outcome(KEPT)
