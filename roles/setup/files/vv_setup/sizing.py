"""Which tier this machine is, from its real cores and memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypedDict

# Firmware and kernel keep some of a machine's memory for themselves.
_MEMORY_TOLERANCE = 0.9


class Tier(TypedDict):
    """One entry of tiers in appliance.yml."""

    id: int
    label: str
    calls: int
    cores: int
    memory_gb: int
    engine_threads: int


class Sizing(TypedDict):
    """Tier 0 is a machine below the smallest tier."""

    tier: int
    label: str
    streams: int
    engine_threads: int
    cores: int
    memory_gb: float


def size(tiers: Sequence[Tier], cores: int, memory_gb: float, override: str = "") -> Sizing:
    """The tier numbered `override`, or the largest whose cores and memory are there; below the smallest, its share."""
    fitting = [tier for tier in tiers if cores >= tier["cores"] and memory_gb >= tier["memory_gb"] * _MEMORY_TOLERANCE]
    chosen = [tier for tier in tiers if str(tier["id"]) == override]
    if chosen or fitting:
        best = chosen[0] if chosen else max(fitting, key=lambda tier: tier["calls"])
        tier, label, streams, threads = best["id"], best["label"], best["calls"], best["engine_threads"]
        label += ", as set" if chosen else ""
    else:
        smallest = min(tiers, key=lambda tier: tier["calls"])
        share = min(cores / smallest["cores"], memory_gb / smallest["memory_gb"])
        tier, label, streams, threads = 0, f"below {smallest['label']}", max(1, int(smallest["calls"] * share)), 1
    return {
        "tier": tier, "label": label, "streams": streams, "engine_threads": threads,
        "cores": cores, "memory_gb": round(memory_gb, 1),
    }  # fmt: skip


def rtp_ports(streams: int, first: int, last: int) -> tuple[int, int]:
    """The part of the RTP range that `streams` need: a pair each, and a sixth more, so that a freed port can rest."""
    pairs = streams + -(-streams // 6)
    return first, min(last, first + 2 * pairs - 1)


def this_machine(tiers: Sequence[Tier], override: str = "") -> Sizing:
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return size(tiers, os.cpu_count() or 1, memory, override)
