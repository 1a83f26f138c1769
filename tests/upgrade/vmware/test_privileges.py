"""The privileges that docs/upgrade-vmware.md lists: enough, and each of them asked for."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

import pytest

from tests.upgrade.operator import Operator
from tests.upgrade.platform import NEW, OLD
from vvctl.upgrade.vmware.privileges import PLACES, SHOWN

from .platform import VmwarePlatform

LISTED = frozenset(chain(*PLACES.values()))


@pytest.mark.parametrize("shown", [True, False])
def test_they_are_enough(vmware: VmwarePlatform, operator: Operator, shown: bool) -> None:
    """Without those that only show the upgrade, too."""
    vmware.vcenter.grant(LISTED if shown else LISTED - set(SHOWN))
    ended = operator.run()
    assert ended.status == 0, ended.said
    ended = operator.take_up("rollback", "--accept-data-loss")
    assert ended.status == 0, ended.said
    assert vmware.observe().systems == {OLD}
    assert operator.run().status == 0
    assert operator.take_up("finalize", "--yes").status == 0
    assert vmware.observe().systems == {NEW}


def test_each_that_is_missing_is_named(vmware: VmwarePlatform, provider: Callable[..., Any]) -> None:
    made = provider()
    for privilege in sorted(LISTED - set(SHOWN)):
        vmware.vcenter.grant(LISTED - {privilege})
        (finding, *_) = made.preflight()
        assert f"the user lacks {privilege} on " in finding.problem
