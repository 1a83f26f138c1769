"""For how long callers were turned away in an upgrade, and in which state it was then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vvctl.upgrade.history import History

from .callers import Caller


def split(caller: Caller, journal: Path) -> dict[str, Any]:
    """Seconds from the first refused call to the first accepted one, by state; the emulated boots are apart.

    `boot` is the part in which a started system did not answer yet.
    """
    began, ended = caller.refused()
    stays = History.read(journal).stays()
    # A state that failed was never left: it was over when the way back began.
    followers = [stay.entered.timestamp() for stay in stays[1:]] + [ended]
    found: dict[str, float] = {}
    booting_s = 0.0
    for stay, follower in zip(stays, followers, strict=True):
        entered, left = stay.entered.timestamp(), stay.left.timestamp() if stay.left else follower
        seconds = min(left, ended) - max(entered, began)
        if seconds > 0:
            found[stay.state] = round(found.get(stay.state, 0) + seconds, 1)
            if stay.state in {"START", "START_OLD"}:
                booting_s += caller.answered_after(entered) - entered
    return {
        "refused_s": round(ended - began, 1),
        "of_that_boot_s": round(booting_s, 1),
        "by_state_s": found,
    }
