"""Which tier and which disks a number of calls needs, and why."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vvctl.appliance import Appliance, Tier
from vvctl.errors import VvctlError

# Disks are ordered in round numbers.
ROUND_TO_GB = 10


class TooManyCalls(VvctlError):
    """No machine of this appliance holds that many calls."""

    code = "too_many_calls"


@dataclass(frozen=True)
class Need:
    """What is asked: `calls` at once for `hours` a day, their logs kept for `days`."""

    calls: int
    hours: float
    days: int


@dataclass(frozen=True)
class Plan:
    """The answer; sizes in GB, `why` a sentence for each."""

    need: Need
    tier: Tier
    logs_gb: float
    system_disk_gb: int
    data_disk_gb: int
    why: tuple[str, ...]


def plan(appliance: Appliance, need: Need) -> Plan:
    """The smallest tier that holds the calls, and a data disk that holds their logs.

    The incumbent's rule: a stream-minute writes retention.log_kb_per_stream_minute of logs. Its example, a stream round
    the clock for retention.logs_days, is a sixth larger than the rule says; the example counts.
    Raises TooManyCalls beyond the largest tier.
    """
    tier = _tier(appliance, need.calls)
    kept = appliance.retention
    logs = need.calls * need.hours / 24 * need.days / kept.logs_days * kept.log_gb_per_stream
    system, base = appliance.disks.system.size_gb, appliance.disks.data.size_gb
    data = math.ceil((base + logs) / ROUND_TO_GB) * ROUND_TO_GB
    rule = need.calls * need.hours * 60 * need.days * kept.log_kb_per_stream_minute / 1e6
    why = [
        f"tier {tier.id} ({tier.label}) is the smallest that holds {need.calls} calls at once: it is for {tier.calls}",
        "a call is one stream; one recorded by SIPREC has two parties and takes two",
        f"logs: {need.calls} streams x {need.hours:g} h x 60 min x {need.days} days x"
        f" {kept.log_kb_per_stream_minute} kB = {rule:,.0f} GB; with {kept.log_gb_per_stream} GB for a stream round the"
        f" clock over {kept.logs_days} days, which leaves room: {logs:,.0f} GB",
        f"data disk: {base} GB as delivered for voiceprints, database and settings, and the logs,"
        f" rounded up to {ROUND_TO_GB} GB",
        f"system disk: always {system} GB, replaced at each upgrade",
    ]
    if need.days != kept.logs_days:
        why.append(
            f"this image keeps logs for {kept.logs_days} days: retention.logs_days in appliance.yml changes that"
        )
    return Plan(need, tier, round(logs, 1), system, data, tuple(why))


def _tier(appliance: Appliance, calls: int) -> Tier:
    for tier in appliance.tiers:
        if calls <= tier.calls:
            return tier
    largest = appliance.tiers[-1]
    raise TooManyCalls(
        f"one machine holds at most {largest.calls} calls at once (tier {largest.id}), not {calls}",
        hint=f"{math.ceil(calls / largest.calls)} machines hold them: split the calls and ask for each",
    )
