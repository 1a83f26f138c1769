"""Where the journals of upgrades are, and which of them is meant."""

from __future__ import annotations

import os
import re
from pathlib import Path

from vvctl.upgrade.errors import NothingToDo, UnderWay
from vvctl.upgrade.history import JOURNAL, History, Phase


def default(provider: str, machine: str) -> Path:
    """The directory for upgrades of a machine, by this account."""
    return _home() / re.sub(r"[^\w.-]+", "_", f"{provider}-{machine}")


def chosen(directory: Path | None) -> Path:
    """That of the one upgrade that has not ended, unless a person named one.

    Raises NothingToDo when there is none, and UnderWay when there are several.
    """
    if directory is not None:
        if not History.read(directory).records:
            raise NothingToDo(f"{directory} holds no upgrade")
        return directory
    found = [
        path.parent
        for path in sorted(_home().glob(f"*/{JOURNAL}"))
        if (history := History.read(path.parent)).records and history.phase is not Phase.ENDED
    ]
    if not found:
        raise NothingToDo(
            "no upgrade is under way", hint=f"the journals in {_home()} have ended; --journal names another"
        )
    if len(found) > 1:
        raise UnderWay(
            f"{len(found)} upgrades are under way", hint="name one: " + ", ".join(f"--journal {path}" for path in found)
        )
    return found[0]


def clear(directory: Path) -> None:
    """Make way for another upgrade: one that has ended is moved aside. Raises UnderWay."""
    history = History.read(directory)
    if not history.records:
        return
    if history.phase in {Phase.COMMITTED, Phase.FINALIZING}:
        raise UnderWay(
            "the last upgrade of this machine is not final yet",
            hint="`vvctl upgrade finalize` gives up the way back, `vvctl upgrade rollback` takes it",
        )
    if history.phase is not Phase.ENDED:
        raise UnderWay(
            "an upgrade of this machine is under way",
            hint="`vvctl upgrade resume` goes on, `vvctl upgrade rollback` goes back",
        )
    directory.rename(directory.with_name(f"{directory.name}.{history.id}"))


def _home() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser() / "vvctl/upgrades"
