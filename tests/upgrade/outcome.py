"""What must be when an upgrade is over, however it went."""

from __future__ import annotations

from tests.doubles.appliance import A, B, Data

from .platform import NEW, OLD, Observed, Platform

KEPT = Data().kept()


def assert_in_charge(platform: Platform, system: str, *, safety: bool) -> None:
    """One system runs with everything, the other is gone or, beside a new one, switched off."""
    assert platform.observe() == Observed(
        systems=frozenset({system, OLD}),
        running=frozenset({system}),
        data_at=frozenset({system}),
        identity_at=frozenset({system}),
        in_charge=system,
        lock=None,
        safety=safety,
        records=KEPT,
        format_epoch=(B if system == NEW else A).format_epoch,
        maintenance=False,
    )


def assert_whole(platform: Platform, system: str) -> None:
    """It runs with everything, whatever there is beside it."""
    seen = platform.observe()
    assert (seen.running, seen.data_at, seen.identity_at) == ({system}, {system}, {system})
    assert (seen.records, seen.lock, seen.maintenance) == (KEPT, None, False)
