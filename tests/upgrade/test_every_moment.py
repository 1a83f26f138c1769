"""What may happen to the operator's computer at any moment, at every moment that there is."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import time

import pytest

from tests.doubles.appliance import Fault
from vvctl.upgrade import steps
from vvctl.upgrade.history import JOURNAL, History

from .aws.platform import AwsPlatform
from .operator import Ended, Operator
from .outcome import assert_whole
from .platform import NEW, OLD
from .relay import apart, cut

FORWARD = [step.state for step in steps.forward(safety_before_move=True)]
BACK = [step.state for step in steps.back()]


def interrupted(operator: Operator, process: subprocess.Popen[str], state: str) -> Ended:
    """Ctrl-C as soon as it says that it is in that state."""
    said = []
    assert process.stdout is not None
    for line in process.stdout:
        said.append(line)
        if line.startswith("{") and json.loads(line).get("state") == state:
            process.send_signal(signal.SIGINT)
            break
    ended = operator.end(process)
    return Ended(ended.status, "".join(said) + ended.said)


@pytest.mark.parametrize(
    ("states", "system"), [(FORWARD, NEW), (BACK, OLD)], ids=["to the new system", "back to the old one"]
)
def test_interrupted_in_every_state(aws: AwsPlatform, operator: Operator, states: list[str], system: str) -> None:
    """One upgrade, taken up in a process for each of its states."""
    if system == OLD:
        assert operator.run().status == 0
        process = operator.begin("rollback", "--accept-data-loss", "--json")
    else:
        process = operator.begin_run("--json")
    met = []
    for state in states:
        ended = interrupted(operator, process, state)
        if ended.status == 0:
            # It was over before the signal came.
            break
        assert ended.status == 130, ended.said
        assert "nothing is lost: `vvctl upgrade resume" in ended.said
        met.append(state)
        process = operator.begin("resume", "--json")
    else:
        assert operator.end(process).status in {0, 1}
    assert len(met) >= len(states) // 2
    assert_whole(aws, system)


def test_two_begin_at_once_in_one_directory(aws: AwsPlatform, operator: Operator) -> None:
    processes = [operator.begin_run() for _ in range(2)]
    one, other = sorted((operator.end(process) for process in processes), key=lambda ended: ended.status)
    assert (one.status, other.status) == (0, 1), (one.said, other.said)
    assert any(why in other.said for why in ("is in use by another run", "under way", "just begun"))
    assert aws.mutations().count("CreateLaunchTemplate") == 1
    assert_whole(aws, NEW)


def test_a_plan_tells_all_and_changes_nothing(aws: AwsPlatform, operator: Operator) -> None:
    before = aws.observe()
    ended = operator.end(operator.begin("plan", *aws.run_arguments()))
    assert ended.status == 0, ended.said
    for state in (*FORWARD, *BACK, "FINALIZE"):
        assert f" {state} " in ended.said
    for touched in (aws.instance.id, aws.root.id, aws.data.id, "Downtime", "Nothing stands in the way."):
        assert touched in ended.said
    assert (aws.mutations(), aws.appliance.mutations(), aws.observe()) == ([], [], before)
    assert not operator.journal.exists()


def test_the_network_is_cut_for_good(aws: AwsPlatform, operator: Operator) -> None:
    """Nothing is decided that cannot be seen."""
    with apart(operator, aws) as (network, url):
        process = operator.begin_run("--url", url)
        while "DetachVolume" not in aws.mutations():
            time.sleep(0.005)
        with cut(network):
            ended = operator.end(process)
        assert ended.status == 3, ended.said
        assert "nobody can tell what is there" in ended.said
        assert "nothing was decided: `vvctl upgrade resume` goes on" in ended.said
        assert not History.read(operator.journal).decided("rollback")
        ended = operator.take_up("resume")
    assert ended.status == 0, ended.said
    assert_whole(aws, NEW)


def limit(process: subprocess.Popen[str], size: int) -> None:
    """No file grows beyond that: writing fails in the middle of a record, as on a full disk."""
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, size))


def stopped_at(aws: AwsPlatform, operator: Operator, room: int) -> Ended:
    """An upgrade whose journal has room for so many bytes beyond what it begins with."""
    aws.arm(Fault.SLOW, 1)
    process = operator.begin_run()
    while not aws.mutations():
        time.sleep(0.005)
    # The reserve, which is much larger, is on the disk by now.
    limit(process, (operator.journal / JOURNAL).stat().st_size + room)
    return operator.end(process)


@pytest.mark.parametrize("every", [9, pytest.param(1, marks=pytest.mark.matrix)])
def test_no_room_for_any_one_record(aws: AwsPlatform, operator: Operator, every: int) -> None:
    """What cannot be written down is not done. For all of them with `-m matrix`."""
    assert operator.run().status == 0
    # Before the first change there is who, what, and the first state.
    lines = (operator.journal / JOURNAL).read_bytes().splitlines(keepends=True)[3:]
    for written in range(0, len(lines), every):
        aws.reset()
        one = Operator(aws, operator.journal.with_name(f"room for {written}"))
        ended = stopped_at(aws, one, len(b"".join(lines[:written])) + len(lines[written]) // 2)
        assert ended.status == 3, ended.said
        assert "make room there, then `vvctl upgrade resume`; until then nothing more is done" in ended.said
        ended = one.take_up("resume")
        assert ended.status in {0, 1}, ended.said
        assert_whole(aws, NEW)
