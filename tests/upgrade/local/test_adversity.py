"""What QEMU, its guests and other people do to an upgrade: each ends in a clear message and a safe state.

Each boot takes its time; what the doubles show in a second, too, is left to `-m matrix`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.doubles.appliance import B, Behaviour, Data, Fault
from tests.upgrade.operator import VVCTL, Operator
from tests.upgrade.outcome import assert_in_charge
from tests.upgrade.platform import NEW, OLD
from vvctl.upgrade.errors import ProviderError
from vvctl.upgrade.history import History
from vvctl.upgrade.local import power
from vvctl.upgrade.local.facts import discover
from vvctl.upgrade.local.home import Home
from vvctl.upgrade.local.provider import make
from vvctl.upgrade.world import Role

from .platform import PATIENT, LocalPlatform


@pytest.mark.matrix
def test_two_operators(running: LocalPlatform, tmp_path: Path) -> None:
    """At once: one upgrades, the other is told who does."""
    operators = [Operator(running, tmp_path / name, PATIENT) for name in ("anna", "boris")]
    processes = [operator.begin_run() for operator in operators]
    ended = sorted(
        (operator.end(process) for operator, process in zip(operators, processes, strict=True)),
        key=lambda one: one.status,
    )
    assert [one.status for one in ended] == [0, 1], [one.said for one in ended]
    assert "has been upgrading this machine since" in ended[1].said
    assert_in_charge(running, NEW, safety=True)


def test_a_hung_guest(served: LocalPlatform, operator: Operator) -> None:
    """It is not switched off: it may hold what it has not written."""
    served.reset(old=Behaviour.HUNG_SHUTDOWN)
    (process,) = served._processes()
    ended = operator.run("--shutdown-within", "2")
    assert ended.status == 1
    assert "did not shut down within 2 s; the old system is in charge again" in ended.said
    assert list(served._processes()) == [process]
    assert_in_charge(served, OLD, safety=False)


@pytest.mark.matrix
def test_a_new_system_that_never_gets_ready(served: LocalPlatform, operator: Operator) -> None:
    served.reset(new=Behaviour.MIGRATION_FAILS)
    ended = operator.run("--start-within", "30")
    assert ended.status == 1
    assert "the new system was not ready within 30 s" in ended.said
    assert_in_charge(served, OLD, safety=False)


@pytest.mark.matrix
def test_qemu_dies(running: LocalPlatform, operator: Operator) -> None:
    """The new system's, once it is in charge: the way back is as long as before, but for a backup."""
    assert operator.run().status == 0
    (process,) = running._processes()
    os.kill(process, signal.SIGKILL)
    ended = operator.take_up("rollback", "--accept-data-loss")
    assert ended.status == 0, ended.said
    assert_in_charge(running, OLD, safety=False)


@pytest.mark.matrix
def test_somebody_takes_the_lock_away(running: LocalPlatform, operator: Operator) -> None:
    running.arm(Fault.KILL_AFTER, 12)
    assert operator.run().status == -signal.SIGKILL
    (running.machine / "lock").unlink()
    (running.machine / "lock").write_text(json.dumps({"upgrade": "u9", "by": "boris@elsewhere", "since": "today"}))
    ended = operator.take_up("resume")
    assert ended.status == 1
    assert "boris@elsewhere has been upgrading this machine since today" in ended.said
    (running.machine / "lock").unlink()
    ended = operator.take_up("rollback")
    assert ended.status == 0, ended.said
    assert_in_charge(running, OLD, safety=False)


def test_qemu_lets_nobody_else_have_the_data_disk(running: LocalPlatform) -> None:
    """Even when the link says so that keeps systems apart."""
    home = Home(running.machine)
    provider = make(discover(home.path, running.images.ova(B)), "u1", 0.2)
    provider.stage_new()
    new = home.system("u1")
    new.data.symlink_to("../../disks/data.qcow2")
    new.network.write_text(json.dumps({"mac": "52:54:00:00:00:01", "forwards": {}}))
    with pytest.raises(ProviderError, match="Is another process using the image"):
        power.start(home, new)
    for change in (lambda: provider.move_data(Role.NEW), provider.take_safety, provider.restore_safety):
        with pytest.raises(ProviderError, match="runs"):
            change()


@pytest.mark.parametrize(
    "call", [pytest.param(0, marks=pytest.mark.matrix), 18, pytest.param(24, marks=pytest.mark.matrix)]
)
def test_by_hand(running: LocalPlatform, operator: Operator, root: Path, call: int) -> None:
    """What docs/upgrade.md says, after an upgrade that went well, or one that was cut off there."""
    if call:
        running.arm(Fault.KILL_AFTER, call)
    assert operator.run().status == (-signal.SIGKILL if call else 0)
    text = (root / "docs/upgrade.md").read_text(encoding="utf-8").partition("To return to the old system by hand")[2]
    commands = [line.strip() for line in text.splitlines() if line.startswith("    ")]
    assert commands[-1] == "vvctl local start $DIR"
    environment = {
        "PATH": f"{VVCTL.parent}:{os.environ['PATH']}",
        "DIR": str(running.machine),
        "OLD": running.old,
        "ID": History.read(operator.journal).id,
    }
    subprocess.run(["bash", "-eu"], input="\n".join(commands), text=True, env=os.environ | environment, check=True)
    running.wait()
    seen = running.observe()
    assert (seen.running, seen.data_at, seen.identity_at, seen.in_charge) == ({OLD}, {OLD}, {OLD}, OLD)
    assert (seen.records, seen.format_epoch, seen.lock, seen.safety) == (Data().kept(), 1, None, False)
