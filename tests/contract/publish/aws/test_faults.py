"""Whatever fails at whichever call: the run ends well, or the next one finishes it; nothing is made twice or left."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from tests.doubles.aws.faults import Fault, Kind
from vvctl.publish.aws.errors import AwsError

from .conftest import FRIEND, OTHER_REGION, REGION, Engineer

# Everything that publishing can do, for two small disks.
OPTIONS: dict[str, Any] = {"copies": {OTHER_REGION: None}, "accounts": (FRIEND,)}
PASSING: tuple[Kind, ...] = ("drop_before", "unavailable", "throttle")


def fresh(engineer: Engineer, number: int) -> None:
    engineer.aws.reset()
    engineer.journals = engineer.journals.with_name(f"journals-{number}")


def calls_of_one_run(engineer: Engineer) -> int:
    engineer.publish(**OPTIONS)
    count = len(engineer.aws.calls)
    assert count > 25
    return count


def assert_complete(engineer: Engineer) -> None:
    engineer.assert_published(REGION, OTHER_REGION)
    for region in engineer.aws.account.regions:
        for thing in [*region.images.values(), *region.snapshots.values()]:
            assert thing.shared_with == {FRIEND}


def test_faults_that_pass_are_outlived_at_every_call(engineer: Engineer) -> None:
    for number in range(1, calls_of_one_run(engineer) + 1):
        fresh(engineer, number)
        engineer.aws.faults.arm(Fault(PASSING[number % len(PASSING)], nth=number))
        engineer.publish(**OPTIONS)
        assert_complete(engineer)


def test_lost_answers_are_outlived_at_every_call(engineer: Engineer) -> None:
    """The call was done, but nobody heard of it."""
    for number in range(1, calls_of_one_run(engineer) + 1):
        fresh(engineer, number)
        engineer.aws.faults.arm(Fault("drop_after", nth=number))
        engineer.publish(**OPTIONS)
        assert_complete(engineer)


def test_the_next_run_finishes_what_failed_at_any_call(engineer: Engineer) -> None:
    for number in range(1, calls_of_one_run(engineer) + 1):
        fresh(engineer, number)
        engineer.aws.faults.arm(Fault("refuse", nth=number))
        # A dry run that fails says nothing about rights, so the run goes on.
        with suppress(AwsError):
            engineer.publish(**OPTIONS)
        engineer.aws.faults.arm()
        engineer.publish(**OPTIONS)
        assert_complete(engineer)
        # Six blocks, and at most the one that was refused was on its way twice.
        assert engineer.aws.counts["PutSnapshotBlock"] <= 7


def test_a_service_that_throttles_for_long_is_outlived(engineer: Engineer) -> None:
    engineer.aws.faults.arm(Fault("throttle", nth=1, operation="PutSnapshotBlock", times=11))
    engineer.publish()
    engineer.assert_published(REGION)


def test_a_service_that_stays_away_ends_the_run_after_twelve_attempts(engineer: Engineer) -> None:
    engineer.aws.faults.arm(Fault("unavailable", nth=1, operation="RegisterImage", times=1000))
    with pytest.raises(AwsError, match="ServiceUnavailable"):
        engineer.publish()
    # The dry run gets its twelve as well.
    assert engineer.aws.counts["RegisterImage"] == 24


def test_a_refusal_is_not_tried_again(engineer: Engineer) -> None:
    engineer.aws.faults.arm(Fault("refuse", nth=1, operation="CompleteSnapshot", code="KMSKeyDisabled"))
    with pytest.raises(AwsError, match="KMSKeyDisabled"):
        engineer.publish()
    assert engineer.aws.counts["CompleteSnapshot"] == 1


def test_a_new_snapshot_that_aws_does_not_know_yet_is_waited_for(engineer: Engineer) -> None:
    unknown = Fault(
        "refuse",
        nth=1,
        operation="PutSnapshotBlock",
        times=2,
        code="ResourceNotFoundException",
        reason="SNAPSHOT_NOT_FOUND",
    )
    engineer.aws.faults.arm(unknown)
    engineer.publish()
    engineer.assert_published(REGION)


def test_a_block_that_an_earlier_attempt_still_writes_is_sent_again(engineer: Engineer) -> None:
    conflict = {"code": "ValidationException", "reason": "CONFLICTING_BLOCK_UPDATE"}
    engineer.aws.faults.arm(Fault("refuse", nth=2, operation="PutSnapshotBlock", **conflict))
    engineer.publish()
    engineer.assert_published(REGION)


def test_an_expired_snapshot_is_begun_anew(engineer: Engineer) -> None:
    engineer.aws.faults.arm(Fault("refuse", nth=4, operation="PutSnapshotBlock"))
    with pytest.raises(AwsError):
        engineer.publish()
    for snapshot in engineer.aws.account.region(REGION).snapshots.values():
        snapshot.timeout_s = -1.0
    engineer.aws.faults.arm()
    engineer.publish()
    # The expired one was removed: it was ours, and nothing could be made of it.
    engineer.assert_published(REGION)


def test_a_snapshot_that_expires_while_it_is_written_is_begun_anew(engineer: Engineer) -> None:
    account, arrived = engineer.aws.account, 0
    put = engineer.aws.ebs.PutSnapshotBlock

    def expire_once(call: Any, params: dict[str, Any]) -> dict[str, Any]:
        nonlocal arrived
        arrived += 1
        if arrived == 4:
            account.region(REGION).snapshots[params["SnapshotId"]].timeout_s = -1.0
        return put(call, params)

    engineer.aws.ebs.PutSnapshotBlock = expire_once  # type: ignore[method-assign]
    engineer.publish()
    engineer.assert_published(REGION)


def test_a_snapshot_that_somebody_deleted_is_begun_anew(engineer: Engineer) -> None:
    # The first one is the dry run.
    engineer.aws.faults.arm(Fault("refuse", nth=2, operation="RegisterImage"))
    with pytest.raises(AwsError):
        engineer.publish()
    engineer.aws.account.region(REGION).snapshots.popitem()
    engineer.aws.faults.arm()
    engineer.publish()
    engineer.assert_published(REGION)
