"""What vCenter, the network and other people do to an upgrade: each ends in a clear message and a safe state."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.appliance import Behaviour, Fault, Guest, Version
from tests.doubles.vmware.server import make_identity, running
from tests.upgrade.operator import Ended, Operator
from tests.upgrade.outcome import KEPT, assert_in_charge
from tests.upgrade.platform import NEW, OLD
from vvctl.publish.vmware.archive import Archive
from vvctl.upgrade.errors import LockedByAnother, ProviderError
from vvctl.upgrade.vmware.marks import LOCK, option
from vvctl.upgrade.world import Role

from .administrator import SETTINGS, Administrator
from .platform import NAME, VmwarePlatform, make_ova

# The number of the call that detaches the data disk from the old machine.
DETACH = 9
Make = Callable[..., Any]
Harm = Callable[[Administrator, str], Any]


def wait_for(vmware: VmwarePlatform, nth: int) -> None:
    """Until an upgrade has made its n-th call that changes something."""
    deadline = time.monotonic() + 60
    while len(vmware.mutations()) < nth:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def disturbed(vmware: VmwarePlatform, operator: Operator, harm: Harm) -> tuple[Ended, int]:
    """An upgrade, and somebody else while the machine is off, before the data disk is detached; calls until then."""
    vmware.arm(Fault.SLOW, DETACH)
    process = operator.begin_run()
    wait_for(vmware, DETACH)
    assert vmware.observe().running == frozenset()
    with vmware.intruder() as administrator:
        harm(administrator, vmware.data_file)
    done = len(vmware.mutations())
    return operator.end(process), done


def test_forward_and_final(vmware: VmwarePlatform, operator: Operator) -> None:
    with vmware.administrator() as administrator:
        size = administrator.read(NAME, "config.hardware.memoryMB")
    ended = operator.run()
    assert ended.status == 0, ended.said
    assert_in_charge(vmware, NEW, safety=True)
    with vmware.administrator() as administrator:
        # The tier and the settings are those of the old machine.
        assert administrator.read(NAME, "config.hardware.memoryMB") == size
        settings = administrator.read(NAME, "config.vAppConfig.property")
        assert {entry.id: entry.value for entry in settings if entry.value} == SETTINGS
    assert operator.take_up("finalize", "--yes").status == 0
    assert vmware.observe().systems == {NEW}
    assert not vmware.observe().safety
    assert vmware.observe().records == KEPT


def test_a_second_upgrade_after_a_final_one(vmware: VmwarePlatform, operator: Operator, tmp_path: Path) -> None:
    """The data disk lies in the folder of a machine that is gone; the machine has marks of the first upgrade."""
    assert operator.run().status == 0
    assert operator.take_up("finalize", "--yes").status == 0
    first = next(machine for machine in vmware.vcenter.state()["machines"] if machine["name"] == NAME)["id"]
    newer = Version("1.2.0", 3, "0003")
    config = vmware.config
    image, vmware.image = vmware.image, make_ova(config, tmp_path, newer)
    made = vmware.guests.made
    vmware.guests.made = lambda moid: made(moid) if moid == first else Guest(newer)
    try:
        ended = Operator(vmware, tmp_path / "second").run()
    finally:
        vmware.image = image
    assert ended.status == 0, ended.said
    assert vmware.observe().records == KEPT
    assert vmware.observe().format_epoch == 3
    assert vmware.observe().lock is None


def test_an_upgrade_before_the_last_one_is_final(vmware: VmwarePlatform, operator: Operator, tmp_path: Path) -> None:
    assert operator.run().status == 0
    ended = Operator(vmware, tmp_path / "second").run()
    assert ended.status == 1
    assert "is not final: " in ended.said
    assert_in_charge(vmware, NEW, safety=True)


@pytest.mark.parametrize(
    "behaviour",
    [
        Behaviour.NEVER_READY,
        Behaviour.CRASH_LOOP,
        Behaviour.MIGRATION_FAILS,
        Behaviour.WRONG_EPOCH,
        Behaviour.LOSES_RECORDS,
    ],
)
def test_a_new_system_that_is_broken(vmware: VmwarePlatform, operator: Operator, behaviour: Behaviour) -> None:
    vmware.reset(new=behaviour)
    ended = operator.run("--start-within", "2")
    assert ended.status == 1
    assert "the old system is in charge again" in ended.said
    assert_in_charge(vmware, OLD, safety=False)


def test_a_hung_guest(vmware: VmwarePlatform, operator: Operator) -> None:
    """It is not switched off: it may hold what it has not written."""
    vmware.reset(old=Behaviour.HUNG_SHUTDOWN)
    ended = operator.run("--shutdown-within", "1")
    assert ended.status == 1
    assert "did not shut down within 1 s" in ended.said
    assert_in_charge(vmware, OLD, safety=False)
    assert "PowerOffVM_Task" not in vmware.mutations()


def test_a_datastore_that_is_full_when_the_snapshot_is_made(vmware: VmwarePlatform, operator: Operator) -> None:
    vmware.vcenter.fail(("CreateSnapshot_Task", 1, "full"))
    ended = operator.run()
    assert ended.status == 1
    assert "making a snapshot of" in ended.said
    assert_in_charge(vmware, OLD, safety=False)


class TestSession:
    @pytest.mark.parametrize(
        "call",
        [
            "ReconfigVM_Task",
            "RetrievePropertiesEx",
            "ContinueRetrievePropertiesEx",
            "CreateImportSpec",
            "HttpNfcLeaseComplete",
            "CreateSnapshot_Task",
        ],
    )
    def test_it_ends_meanwhile(self, vmware: VmwarePlatform, operator: Operator, call: str) -> None:
        vmware.vcenter.fail((call, 1, "logout"), (call, 3, "logout"))
        ended = operator.run()
        assert ended.status == 0, ended.said
        assert_in_charge(vmware, NEW, safety=True)

    def test_throttled(self, vmware: VmwarePlatform, operator: Operator) -> None:
        faults = [("RetrievePropertiesEx", nth, "unavailable") for nth in range(5, 200, 7)]
        faults += [(call, 1, "unavailable") for call in ("ReconfigVM_Task", "UploadDisk", "PowerOnVM_Task")]
        vmware.vcenter.fail(*faults)
        ended = operator.run()
        assert ended.status == 0, ended.said
        assert_in_charge(vmware, NEW, safety=True)

    def test_a_wrong_clock(self, operator: Operator, program: Path, tmp_path: Path) -> None:
        """vCenter's certificate is valid for people with the right time."""
        identity, store = make_identity(tmp_path, ahead=timedelta(days=1)), tmp_path / "store"
        store.mkdir()
        with running(program, identity, store) as vcenter:
            where = ["--server", f"localhost:{vcenter.port}", "--vcenter-ca-file", str(identity.authority)]
            ended = operator.run(*where)
        assert ended.status == 1
        assert "not yet valid" in ended.said
        assert "is the clock of this computer right?" in ended.said


class TestOthers:
    def test_two_operators(self, vmware: VmwarePlatform, tmp_path: Path) -> None:
        """From two computers at once: one upgrades, the other is told who does."""
        for nth in range(3):
            vmware.reset()
            operators = [Operator(vmware, tmp_path / f"{nth}-{name}") for name in ("anna", "boris")]
            processes = [operator.begin_run() for operator in operators]
            ended = sorted(
                (operator.end(process) for operator, process in zip(operators, processes, strict=True)),
                key=lambda one: one.status,
            )
            assert [one.status for one in ended] == [0, 1], [one.said for one in ended]
            assert "is being upgraded by publisher@vsphere.local on " in ended[1].said
            assert_in_charge(vmware, NEW, safety=True)
            assert vmware.mutations().count("ImportVApp") == 1

    def test_a_lock_is_taken_by_compare_and_set(self, vmware: VmwarePlatform, provider: Make) -> None:
        """Both found the machine free; the second one's look is too old."""
        first, second = provider("u1"), provider("u2")
        look = second._look
        view = second._look()
        first.lock()
        second._look = lambda: view
        with pytest.raises(ProviderError) as caught:
            second.lock()
        assert caught.value.transient
        second._look = look
        with pytest.raises(LockedByAnother):
            second.lock()
        second.unlock()
        assert vmware.observe().lock == "u1"
        first.unlock()
        assert vmware.observe().lock is None

    @pytest.mark.parametrize(
        ("harm", "says"),
        [
            (lambda found, _: found.does(found.machine(NAME).Destroy_Task()), "the data disk is gone"),
            (lambda found, _: found.machine(NAME).UnregisterVM(), "the old system is gone"),
            (lambda found, _: found.configure(NAME, extraConfig=[option(LOCK, "")]), "the lock was taken away"),
            (lambda found, file: found.attach("spare", file), "the data disk is attached to spare"),
        ],
        ids=["deleted", "unregistered", "unlocked", "attached elsewhere"],
    )
    def test_somebody_else_was_there(self, vmware: VmwarePlatform, operator: Operator, harm: Harm, says: str) -> None:
        """Nothing more is done, and it says why."""
        with vmware.administrator() as administrator:
            administrator.import_ova(Archive.load(vmware.image), "spare")
        ended, done = disturbed(vmware, operator, harm)
        assert ended.status == 3, ended.said
        assert says in ended.said
        # A call that was refused may have been made again.
        assert set(vmware.mutations()[done:]) <= {"ReconfigVM_Task"}

    def test_somebody_starts_the_old_machine(self, vmware: VmwarePlatform, operator: Operator) -> None:
        """It may go on as it was: it refuses calls, so nothing was lost."""
        ended, _ = disturbed(vmware, operator, lambda found, _: found.does(found.machine(NAME).PowerOnVM_Task()))
        assert ended.status == 1
        assert f"{NAME} runs; the old system is in charge again" in ended.said
        assert_in_charge(vmware, OLD, safety=False)


class TestRefusedByItself:
    """What the provider will not do, whoever asks."""

    def test_nothing_is_moved_while_a_machine_runs(self, vmware: VmwarePlatform, provider: Make) -> None:
        made = provider()
        made.lock()
        made.stage_new()
        done = vmware.mutations()
        for change in (made.move_data, made.move_identity):
            with pytest.raises(ProviderError, match=f"{NAME} runs"):
                change(Role.NEW)
        assert vmware.mutations() == done

    def test_no_machine_with_the_data_disk_is_deleted(self, vmware: VmwarePlatform, provider: Make) -> None:
        made = provider()
        with pytest.raises(ProviderError, match="has the data disk, so it is not deleted"):
            made.retire(Role.OLD)
        assert vmware.mutations() == []

    def test_the_old_machine_stays_while_the_new_one_is_off(self, vmware: VmwarePlatform, operator: Operator) -> None:
        """Its folder holds the data disk, which is safe while a host has it open."""
        assert operator.run().status == 0
        with vmware.administrator() as administrator:
            administrator.does(administrator.machine(NAME).PowerOffVM_Task())
        ended = operator.take_up("finalize", "--yes")
        assert ended.status == 3
        assert f"{NAME} is off, so {NAME}.old-" in ended.said
        assert vmware.observe().systems == {OLD, NEW}
        with vmware.administrator() as administrator:
            administrator.does(administrator.machine(NAME).PowerOnVM_Task())
        assert operator.take_up("resume").status == 0
        assert vmware.observe().systems == {NEW}

    def test_a_machine_without_data_or_addresses_is_not_started(self, vmware: VmwarePlatform, provider: Make) -> None:
        made = provider()
        made.stage_new()
        done = vmware.mutations()
        with pytest.raises(ProviderError, match="so it is not started"):
            made.start(Role.NEW)
        assert vmware.mutations() == done

    def test_a_disk_with_a_snapshot_is_not_moved(self, vmware: VmwarePlatform, provider: Make) -> None:
        """What was written since would stay behind."""
        made = provider()
        made.stage_new()
        with vmware.administrator() as administrator:
            administrator.does(administrator.machine(NAME).PowerOffVM_Task())
            administrator.does(administrator.machine(NAME).CreateSnapshot_Task("s", "", False, False))
        with pytest.raises(ProviderError, match="has snapshots"):
            made.move_data(Role.NEW)
        assert vmware.mutations() == []

    def test_the_point_in_time_is_gone(self, vmware: VmwarePlatform, operator: Operator) -> None:
        """Somebody deleted it, keeping what the new system wrote."""
        assert operator.run().status == 0
        with vmware.administrator() as administrator:
            (tree,) = administrator.read(NAME, "snapshot.rootSnapshotList")
            administrator.does(tree.snapshot.RemoveSnapshot_Task(False))
        ended = operator.take_up("rollback", "--accept-data-loss")
        assert ended.status == 3
        assert "is gone, so the data disk cannot be put back" in ended.said
        assert vmware.observe().records == KEPT
        assert vmware.observe().data_at == {NEW}
