"""What EC2, the network and other people do to an upgrade: each ends in a clear message and a safe state."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.doubles.appliance import Behaviour
from tests.doubles.aws.faults import Fault
from tests.upgrade.operator import Operator
from tests.upgrade.outcome import KEPT, assert_in_charge
from tests.upgrade.platform import NEW, OLD
from vvctl.upgrade.world import Role

from .platform import REGION, AwsPlatform

# As by default: what was made is waited for while several looks do not show it.
UNHURRIED = ("--poll", "1")


def test_forward_and_final(aws: AwsPlatform, operator: Operator) -> None:
    ended = operator.run()
    assert ended.status == 0, ended.said
    assert_in_charge(aws, NEW, safety=True)
    # What the new root volume inherits, and what attaching it had forgotten.
    new = next(volume for volume in aws.machines.volumes.values() if aws._rooted(volume))
    assert new.attachment is not None
    assert new.attachment.delete_on_termination
    assert operator.take_up("finalize", "--yes").status == 0
    assert aws.observe().systems == {NEW}
    assert set(aws.machines.volumes) == {new.id, aws.data.id}
    assert not aws.observe().safety


def test_a_plan_names_what_it_would_touch_and_touches_nothing(aws: AwsPlatform, operator: Operator) -> None:
    ended = operator.end(operator.begin("plan", *aws.run_arguments()))
    assert ended.status == 0, ended.said
    (image,) = aws.region.images
    for named in (aws.instance.id, aws.root.id, aws.data.id, image, "voice-verify-1.1.0", "voice-verify-upgrade-i-"):
        assert named in ended.said
    assert aws.mutations() == []


def test_encrypted_volumes_stay_encrypted_with_their_keys(aws: AwsPlatform, operator: Operator) -> None:
    with pytest.MonkeyPatch.context() as environment:
        for name, value in aws.env().items():
            environment.setenv(name, value)
        kms = boto3.client("kms", region_name=REGION)
        keys = [kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2)]
    aws.root.key, aws.data.key = keys
    aws.root.iops, aws.data.throughput, aws.data.size_gib = 6000, 500, 100
    aws.behave(Behaviour.LOSES_RECORDS)
    ended = operator.run()
    assert ended.status == 1, ended.said
    attached = aws.machines.volumes_of(aws.instance.id)
    data = attached[aws.instance.data_device]
    assert data.id != aws.data.id
    assert (data.key, data.throughput, data.size_gib) == (keys[1], 500, 100)
    aws.behave(Behaviour.HEALTHY)
    ended = Operator(aws, operator.journal.with_name("second")).run()
    assert ended.status == 0, ended.said
    root = aws.machines.volumes_of(aws.instance.id)[aws.instance.root_device]
    assert root.id != aws.root.id
    assert (root.key, root.iops, root.size_gib) == (keys[0], 6000, 10)


def test_a_second_upgrade_after_a_final_one(aws: AwsPlatform, operator: Operator, tmp_path: Path) -> None:
    """The volumes of the first one carry its tags."""
    from tests.doubles.appliance import Version  # noqa: PLC0415

    assert operator.run().status == 0
    assert operator.take_up("finalize", "--yes").status == 0
    aws.publish(Version("1.2.0", 2, "0003"), Behaviour.LOSES_RECORDS)
    ended = Operator(aws, tmp_path / "second").run()
    assert ended.status == 1
    assert "the old system is in charge again" in ended.said
    assert aws.instance.software is not None
    assert aws.instance.software.version.number == "1.1.0"  # type: ignore[attr-defined]
    assert aws.observe().records == KEPT
    # Restored twice over: the volume that is in use now is not the one of before.
    aws.publish(Version("1.3.0", 2, "0003"))
    ended = Operator(aws, tmp_path / "third").run("--image", next(reversed(aws.region.images)))
    assert ended.status == 0, ended.said
    assert aws.observe().records == KEPT


def test_the_volume_that_was_written_to_is_kept_and_marked(aws: AwsPlatform, operator: Operator) -> None:
    aws.reset(new=Behaviour.MIGRATION_FAILS)
    ended = operator.run("--start-within", "2")
    assert ended.status == 1
    assert_in_charge(aws, OLD, safety=False)
    written, current = aws.data, aws.machines.volumes_of(aws.instance.id)["/dev/sdf"]
    assert written.id != current.id
    assert written.attachment is None
    assert written.tags["voice-verify:part"] == "written"
    assert written.content.schema_revision == "0002, half"
    assert current.tags["backup"] == "daily"
    assert current.content.schema_revision == "0001"


class TestWaiting:
    @pytest.mark.parametrize(("page", "lag", "looks"), [(1, 0, 1), (None, 3, 1), (2, 2, 4)])
    def test_pages_late_sight_and_slow_changes(
        self, aws: AwsPlatform, operator: Operator, page: int | None, lag: int, looks: int
    ) -> None:
        aws.machines.page, aws.machines.lag, aws.machines.looks = page, lag, looks
        ended = operator.run(*UNHURRIED)
        assert ended.status == 0, ended.said
        assert_in_charge(aws, NEW, safety=True)
        ended = operator.take_up("rollback", "--accept-data-loss")
        assert ended.status == 0, ended.said
        assert_in_charge(aws, OLD, safety=False)
        # Nothing was made twice because it was not seen.
        assert aws.mutations().count("CreateLaunchTemplate") == 2
        assert aws.mutations().count("CreateSnapshot") == 2

    def test_throttled(self, aws: AwsPlatform, operator: Operator) -> None:
        aws.aws.faults.arm(
            *(Fault("refuse", nth=nth, times=3, code="RequestLimitExceeded") for nth in range(5, 200, 15))
        )
        ended = operator.run()
        assert ended.status == 0, ended.said
        assert_in_charge(aws, NEW, safety=True)

    def test_no_room_for_the_machine(self, aws: AwsPlatform, operator: Operator) -> None:
        """Here the way back needs the same room."""
        aws.aws.faults.arm(
            Fault("refuse", nth=1, times=3, operation="StartInstances", code="InsufficientInstanceCapacity")
        )
        ended = operator.run()
        assert ended.status == 0, ended.said

    def test_a_hung_guest_is_started_again_once_ec2_has_switched_it_off(
        self, aws: AwsPlatform, operator: Operator
    ) -> None:
        aws.reset(old=Behaviour.HUNG_SHUTDOWN)
        ended = operator.run("--shutdown-within", "1")
        assert ended.status == 1
        assert "did not shut down within 1 s; the old system is in charge again" in ended.said
        assert_in_charge(aws, OLD, safety=False)
        assert aws.instance.state == "running"
        assert "DetachVolume" not in aws.mutations()


class TestSession:
    def test_a_wrong_clock(self, aws: AwsPlatform, operator: Operator) -> None:
        aws.aws.clock_s = 1200
        ended = operator.run()
        assert ended.status == 1
        assert "the clock of this computer is 20 minutes behind that of AWS" in ended.said
        assert "timedatectl" in ended.said
        assert aws.mutations() == []

    def test_a_session_that_ends_meanwhile(self, aws: AwsPlatform, operator: Operator) -> None:
        process = operator.begin_run()
        while "DetachVolume" not in aws.mutations():
            time.sleep(0.01)
        aws.aws.refuses_all = "RequestExpired"
        ended = operator.end(process)
        assert ended.status == 3
        assert "the AWS credentials have expired" in ended.said
        assert "renew the credentials, then `vvctl upgrade resume`" in ended.said
        assert "nothing was decided" in ended.said
        assert aws.observe().running == frozenset()
        aws.aws.refuses_all = None
        ended = operator.take_up("resume")
        assert ended.status == 0, ended.said
        assert_in_charge(aws, NEW, safety=True)


class TestOthers:
    def test_two_operators(self, aws: AwsPlatform, tmp_path: Path) -> None:
        """From two computers at once: one upgrades, the other is told who does."""
        for nth in range(3):
            aws.reset()
            aws.machines.lag = nth
            operators = [Operator(aws, tmp_path / f"{nth}-{name}") for name in ("anna", "boris")]
            processes = [operator.begin_run(*UNHURRIED) for operator in operators]
            ended = sorted(
                (operator.end(process) for operator, process in zip(operators, processes, strict=True)),
                key=lambda one: one.status,
            )
            assert [one.status for one in ended] == [0, 1], [one.said for one in ended]
            assert "is being upgraded by arn:aws:" in ended[1].said
            assert "delete the launch template voice-verify-upgrade-i-" in ended[1].said
            assert_in_charge(aws, NEW, safety=True)
            assert aws.mutations().count("StopInstances") == 1

    def test_the_lock_of_another_is_not_given_back(self, aws: AwsPlatform, provider: Callable[..., Any]) -> None:
        first, second = provider("u1"), provider("u2")
        first.lock()
        second.unlock()
        assert aws.observe().lock == "u1"
        first.unlock()
        assert aws.observe().lock is None

    @pytest.mark.parametrize(
        ("harm", "says"),
        [
            (lambda aws: aws.machines.instances.clear(), "does not exist any more"),
            (lambda aws: setattr(aws.instance, "state", "terminated"), "does not exist any more"),
            (lambda aws: aws.machines.volumes.pop(aws.data.id), "the data disk is gone"),
            (lambda aws: aws.machines.volumes.pop(aws.root.id), "the old system is gone"),
            (lambda aws: aws.machines.templates.clear(), "the lock was taken away"),
            (lambda aws: setattr(aws.data.attachment, "instance", "i-other"), "is attached to i-other"),
        ],
    )
    def test_somebody_else_was_there(
        self, aws: AwsPlatform, operator: Operator, harm: Callable[[AwsPlatform], Any], says: str
    ) -> None:
        """Nothing more is done, and it is said what was found."""
        process = operator.begin_run()
        while aws.instance.state != "stopped":
            time.sleep(0.005)
        with aws.aws.account.lock:
            harm(aws)
            done = len(aws.mutations())
        ended = operator.end(process)
        assert ended.status == 3, ended.said
        assert says in ended.said
        # What was on its way already.
        assert len(aws.mutations()) <= done + 2
        assert "DeleteVolume" not in aws.mutations()
        assert aws.data.content.kept() == KEPT


class TestRefusedByItself:
    """What the provider will not do, whoever asks."""

    def test_nothing_is_moved_while_the_machine_runs(self, aws: AwsPlatform, provider: Callable[..., Any]) -> None:
        made = provider()
        made.lock()
        made.stage_new()
        done = len(aws.mutations())
        for change in (lambda: made.move_data(Role.NEW), made.take_safety, made.restore_safety):
            with pytest.raises(Exception, match="is running, not stopped"):
                change()
        assert len(aws.mutations()) == done

    def test_no_attached_volume_and_no_data_is_deleted(self, aws: AwsPlatform, provider: Callable[..., Any]) -> None:
        made = provider()
        with pytest.raises(Exception, match="not deleted"):
            made.retire(Role.OLD)
        assert aws.mutations() == []

    def test_a_machine_without_its_data_is_not_started(self, aws: AwsPlatform, provider: Callable[..., Any]) -> None:
        made = provider()
        aws.instance.state = "stopped"
        aws.data.attachment = None
        with pytest.raises(Exception, match="so it is not started"):
            made.start(Role.OLD)
        assert aws.mutations() == []

    def test_a_start_that_comes_to_nothing_says_why(self, aws: AwsPlatform, provider: Callable[..., Any]) -> None:
        made = provider()
        aws.instance.state = "stopped"
        aws.data.key = "a key"
        aws.region.unusable_keys.add("a key")
        with pytest.raises(Exception, match=r"came to nothing: Client\.InternalError"):
            made.start(Role.OLD)
