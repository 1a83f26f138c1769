"""Which version may follow which."""

from __future__ import annotations

import re
from dataclasses import dataclass

from vvctl.upgrade.plan import Finding

# Migrations are kept, and tested, for so many.
MINOR_RELEASES = 2


@dataclass(frozen=True)
class Release:
    """A version of the appliance and the epoch of what it writes to the data disk."""

    version: str
    format_epoch: int

    @property
    def numbers(self) -> tuple[int, int, int]:
        """Major, minor, patch; what follows a `+` names the build and does not count."""
        match = re.match(r"(\d+)\.(\d+)\.(\d+)", self.version)
        if match is None:
            return (0, 0, 0)
        return (int(match[1]), int(match[2]), int(match[3]))


def check(old: Release, new: Release) -> list[Finding]:
    """What speaks against putting `new` on the data of `old`."""
    if new.numbers < old.numbers:
        return [
            Finding(
                f"{new.version} is older than {old.version}, which runs",
                "`vvctl upgrade rollback --accept-data-loss` returns to the system before the last upgrade",
            )
        ]
    if new.format_epoch < old.format_epoch:
        return [
            Finding(
                f"{new.version} reads data of format {new.format_epoch}, the data disk has {old.format_epoch}",
                "take an image of a newer version",
            )
        ]
    (major, minor, _), (new_major, new_minor, _) = old.numbers, new.numbers
    if new_major != major or new_minor - minor > MINOR_RELEASES:
        between = (
            f"{major}.{minor + MINOR_RELEASES}" if new_major == major else f"the last {major}.x, then {new_major}.0"
        )
        return [
            Finding(
                f"{new.version} does not follow {old.version}: at most {MINOR_RELEASES} minor releases at once",
                f"upgrade to {between} first",
            )
        ]
    return []
