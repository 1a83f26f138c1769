"""The tier of a machine, from its cores and memory."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
from vv_setup.sizing import Tier, rtp_ports, size, this_machine

from vvctl.appliance import find_root, load
from vvctl.sizing.tiers import rtp_ports as documented_rtp_ports

TIERS = cast(
    "list[Tier]",
    [tier.model_dump() for tier in load(find_root(Path(__file__).parent) / "appliance.yml").tiers],
)


@pytest.mark.parametrize("tier", TIERS)
def test_machine_of_a_tier_holds_its_calls(tier: Tier) -> None:
    # What a machine sees is less than what it was given.
    found = size(TIERS, tier["cores"], tier["memory_gb"] * 0.97)
    assert (found["tier"], found["streams"]) == (tier["id"], tier["calls"])
    assert found["engine_threads"] == tier["engine_threads"]


def test_scarcer_of_cores_and_memory_decides() -> None:
    assert size(TIERS, TIERS[-1]["cores"], TIERS[0]["memory_gb"])["tier"] == TIERS[0]["id"]
    assert size(TIERS, TIERS[0]["cores"], TIERS[-1]["memory_gb"])["tier"] == TIERS[0]["id"]


def test_smaller_machine_holds_its_share() -> None:
    found = size(TIERS, TIERS[0]["cores"] // 2, TIERS[0]["memory_gb"])
    assert (found["tier"], found["streams"]) == (0, TIERS[0]["calls"] // 2)


def test_smallest_machine_holds_one_stream_with_one_thread() -> None:
    found = size(TIERS, 1, 0.25)
    assert (found["streams"], found["engine_threads"]) == (1, 1)


def test_this_machine_is_measured() -> None:
    found = this_machine(TIERS)
    assert found["cores"] >= 1
    assert found["memory_gb"] > 0


@pytest.mark.parametrize("calls", [1, 50, 100, 150])
def test_calls_get_a_pair_of_ports_each_and_some_to_rest(calls: int) -> None:
    first, last = rtp_ports(calls, 20000, 20350)
    assert first == 20000
    assert last <= 20350
    assert (last - first + 1) // 2 >= calls * 7 / 6


def test_documentation_says_what_ports_are_used() -> None:
    appliance = load(find_root(Path(__file__).parent) / "appliance.yml")
    rtp = appliance.port("rtp")
    assert rtp.last is not None
    for tier in appliance.tiers:
        assert rtp_ports(tier.calls, rtp.first, rtp.last) == documented_rtp_ports(appliance, tier)


@pytest.mark.parametrize("tier", TIERS)
def test_tier_that_is_set_wins_over_cores_and_memory(tier: Tier) -> None:
    found = size(TIERS, 1, 0.25, str(tier["id"]))
    assert (found["tier"], found["streams"], found["engine_threads"]) == (
        tier["id"],
        tier["calls"],
        tier["engine_threads"],
    )
    assert "as set" in found["label"]
