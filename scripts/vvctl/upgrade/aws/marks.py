"""The tags by which everything that an upgrade makes is found again, and the name of its lock."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from vvctl.publish.aws.plan import tag_list

PRODUCT = "voice-verify"
# The upgrade's id, and which machine it is of.
UPGRADE = f"{PRODUCT}:upgrade"
MACHINE = f"{PRODUCT}:machine"
PART = f"{PRODUCT}:part"
# On the lock: who has it.
BY = f"{PRODUCT}:by"
# On the instance: the root volume that is in charge.
SYSTEM = f"{PRODUCT}:system"
# docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Tags.html, tag restrictions.
_TAGS = 50


class Part(StrEnum):
    """What something that carries an upgrade's id is for."""

    SYSTEM = "system"
    # A snapshot of the data volume while it is still in use: it makes the one that counts a matter of seconds.
    WARM = "warm"
    SAFETY = "safety"
    RESTORED = "restored"
    # The data volume to which a system had written that was rolled back; it is kept.
    WRITTEN = "written"


def lock_name(instance: str) -> str:
    """Names of launch templates are unique in a region, so making one is a test-and-set; tags are none."""
    return f"{PRODUCT}-upgrade-{instance}"


def specification(kind: str, tags: dict[str, str]) -> list[Any]:
    """Tags of something that is made."""
    return [{"ResourceType": kind, "Tags": tag_list(tags)}]


def inherited(tags: dict[str, str], ours: dict[str, str]) -> dict[str, str]:
    """`ours`, and those of a volume that is replaced: backup plans and bills go by them."""
    kept = {key: value for key, value in tags.items() if not key.startswith(("aws:", f"{PRODUCT}:"))}
    room = _TAGS - len(ours)
    return dict(list(kept.items())[:room]) | ours
