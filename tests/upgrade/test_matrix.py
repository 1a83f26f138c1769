"""The fault matrix on every platform: a sample of it, and all of it with `-m matrix`.

A line for each case goes to build/reports/upgrade-PLATFORM.jsonl.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doubles.appliance import Fault
from tests.doubles.vmware.program import build
from vvctl.appliance import Appliance
from vvctl.upgrade.steps import State

from .aws.platform import platform as aws
from .local.platform import PATIENT
from .local.platform import platform as local
from .matrix import Matrix, Way, failures
from .operator import QUICK
from .platform import Platform
from .vmware.platform import platform as vmware

# What only looks.
_WITHOUT_CHANGES = {State.PREFLIGHT, State.HEALTH, State.HEALTH_OLD}
# How many calls of a real machine go by between two faults of the sample.
_SPARSE = 16


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=pytest.mark.xdist_group(f"matrix of {name}")) for name in ("aws", "local", "vmware")
    ],
)
def matrix(
    request: pytest.FixtureRequest, root: Path, appliance: Appliance, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Matrix]:
    folder = tmp_path_factory.mktemp(request.param)
    report = root / f"build/reports/upgrade-{request.param}.jsonl"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    with {
        "aws": lambda: aws(folder, appliance),
        "local": lambda: local(folder, root, appliance),
        "vmware": lambda: vmware(folder, build("vcenter", root / "build/cache/doubles"), appliance),
    }[request.param]() as platform:
        made: Platform = platform
        yield Matrix(made, folder, report, PATIENT if made.name == "local" else QUICK)


def test_ends_well_whatever_call_fails_in_the_sample(matrix: Matrix) -> None:
    """On the doubles it strikes in every state, with every kind of fault; real machines boot too slowly for that."""
    real = matrix.platform.name == "local"
    every = _SPARSE if real else 4
    outcomes = [outcome for way in Way for outcome in matrix.sample(way, every=every, each_state=not real)]
    assert outcomes
    assert not failures(outcomes), failures(outcomes)
    if not real:
        struck = [outcome.case for outcome in outcomes if outcome.case is not None]
        assert {case.fault for case in struck} == set(Fault)
        assert {case.state for case in struck} == set(State) - _WITHOUT_CHANGES


@pytest.mark.matrix
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("way", Way)
def test_ends_well_whatever_call_fails(matrix: Matrix, way: Way, fault: Fault) -> None:
    outcomes = matrix.sweep(way, fault)
    assert not failures(outcomes), failures(outcomes)
