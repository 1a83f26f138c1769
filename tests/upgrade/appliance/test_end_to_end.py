"""A real appliance from release to release and back; each test leaves the machine to the next one."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from tests.image import voices
from vvctl.upgrade.quiet import BACKUP, RESCUE

from . import contents, versions
from .callers import Caller
from .downtime import split
from .machine import Machine

pytestmark = [pytest.mark.appliance, pytest.mark.timeout(5400)]

# Longer than the upgrade takes to ask for quiet, shorter than running calls are waited for.
_LAST_CALL_S = 20
# Under emulation.
_PATIENCE = ("--drain", "120", "--shutdown-within", "300", "--start-within", "450")


@pytest.fixture(scope="module")
def before(machine: Machine) -> dict[str, Any]:
    """Everything that was on the machine with the first release."""
    return contents.read(machine)


def run(machine: Machine, ova: Path, recording: Path) -> tuple[int, str, Caller]:
    """Exit status and last words of an upgrade, and who called meanwhile."""
    where = ("local", "--machine", str(machine.directory), "--ova", str(ova))
    with Caller(machine.url, machine.keys.integrator) as caller:
        canary = f"{voices.TARGET}={recording}"
        done = machine.upgrade("run", *where, "--canary", canary, "--yes", *_PATIENCE)
    return done.returncode, done.stdout + done.stderr, caller


def verifies_the_same_voices(machine: Machine) -> None:
    assert machine.verify(voices.TARGET, voices.TARGET) == "verified"
    assert machine.verify(voices.TARGET, voices.IMPOSTOR) == "not_verified"


def test_plan_names_what_it_will_touch(machine: Machine, second: Path, recording: Path) -> None:
    where = ("local", "--machine", str(machine.directory), "--ova", str(second))
    done = machine.upgrade("plan", *where, "--canary", f"{voices.TARGET}={recording}")
    assert done.returncode == 0
    assert str(machine.directory) in done.stdout
    assert "data.qcow2" in done.stdout


def test_upgrade_lets_the_running_call_end_and_loses_nothing(
    machine: Machine, second: Path, recording: Path, before: dict[str, Any], measured: dict[str, Any]
) -> None:
    counted = contents.invoices(machine)
    decided: list[str] = []
    talking = threading.Thread(target=lambda: decided.append(contents.call(machine, voices.TARGET, _LAST_CALL_S)))
    talking.start()
    status, said, caller = run(machine, second, recording)
    talking.join()
    assert status == 0, said
    assert decided == ["verified"]
    measured["to_second"] = split(caller, machine.journal)
    assert machine.version() == versions.SECOND.version
    assert contents.read(machine) == before
    assert contents.invoices(machine)["totals"]["verifications"] >= counted["totals"]["verifications"] + 1
    verifies_the_same_voices(machine)


def test_rollback_returns_and_keeps_a_backup_of_what_came_later(
    machine: Machine, before: dict[str, Any], measured: dict[str, Any]
) -> None:
    machine.enrol(voices.LATER, voices.TARGET)
    refused = machine.upgrade("rollback")
    assert refused.returncode == 2, "what came later would be lost"
    with Caller(machine.url, machine.keys.integrator) as caller:
        done = machine.upgrade("rollback", "--accept-data-loss")
    assert done.returncode == 0, done.stderr
    measured["rollback"] = split(caller, machine.journal)
    assert machine.version() == versions.FIRST.version
    assert contents.read(machine) == before
    verifies_the_same_voices(machine)
    assert (machine.journal / BACKUP).stat().st_size > 0
    assert (machine.journal / RESCUE).stat().st_size > 0


def test_finalize_makes_the_upgrade_final(
    machine: Machine, second: Path, recording: Path, before: dict[str, Any], measured: dict[str, Any]
) -> None:
    status, said, caller = run(machine, second, recording)
    assert status == 0, said
    measured["to_second_again"] = split(caller, machine.journal)
    done = machine.upgrade("finalize", "--yes")
    assert done.returncode == 0, done.stderr
    assert len(list((machine.directory / "systems").iterdir())) == 1
    assert machine.upgrade("rollback", "--accept-data-loss").returncode == 1
    assert machine.version() == versions.SECOND.version
    assert contents.read(machine) == before


def test_a_release_that_loses_records_goes_back_by_itself(
    machine: Machine, broken: Path, recording: Path, before: dict[str, Any], measured: dict[str, Any]
) -> None:
    status, said, caller = run(machine, broken, recording)
    assert status == 1, said
    assert "pbx_instances: 1" in said
    measured["broken"] = split(caller, machine.journal)
    assert machine.version() == versions.SECOND.version
    assert contents.read(machine) == before
    assert len(list((machine.directory / "systems").iterdir())) == 1
    verifies_the_same_voices(machine)
