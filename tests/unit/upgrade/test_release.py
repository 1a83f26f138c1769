"""Which version may follow which."""

from __future__ import annotations

import pytest

from vvctl.upgrade.release import Release, check


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (("1.0.0", 1), ("1.0.1", 1)),
        (("1.0.0", 1), ("1.2.0", 2)),
        (("1.9.3", 4), ("1.11.0", 4)),
        # The same one again repairs a system disk.
        (("1.0.0", 1), ("1.0.0", 1)),
        (("1.0.0+3f0a", 1), ("1.0.0+0b12", 1)),
    ],
)
def test_may_follow(old: tuple[str, int], new: tuple[str, int]) -> None:
    assert check(Release(*old), Release(*new)) == []


@pytest.mark.parametrize(
    ("old", "new", "problem", "hint"),
    [
        (("1.1.0", 2), ("1.0.9", 2), "1.0.9 is older than 1.1.0", "rollback --accept-data-loss"),
        (("1.10.0", 2), ("1.9.0", 2), "1.9.0 is older than 1.10.0", "rollback"),
        (("1.1.0", 3), ("1.2.0", 2), "reads data of format 2, the data disk has 3", "newer version"),
        (("1.1.0", 1), ("1.4.0", 2), "at most 2 minor releases at once", "upgrade to 1.3 first"),
        (("1.9.0", 1), ("2.0.0", 2), "2.0.0 does not follow 1.9.0", "upgrade to the last 1.x, then 2.0 first"),
    ],
)
def test_may_not_follow(old: tuple[str, int], new: tuple[str, int], problem: str, hint: str) -> None:
    (finding,) = check(Release(*old), Release(*new))
    assert problem in finding.problem
    assert hint in finding.hint
