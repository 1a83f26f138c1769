"""What becomes of an upgrade when something happens to the computer on which vvctl runs, or to its operator."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from tests.doubles.appliance import Fault
from vvctl.upgrade.history import JOURNAL, Decision, History

from .aws.platform import AwsPlatform
from .operator import Operator
from .outcome import assert_whole
from .platform import NEW, OLD
from .relay import apart, cut

# More than what a journal keeps in reserve.
_DISK_KIB = 512
_PAGE = 4096


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    mounted = tmp_path / "disk"
    mounted.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_DISK_KIB}k", "vv-test", mounted], check=True)
    yield mounted
    subprocess.run(["umount", mounted], check=True)


def wait_for(aws: AwsPlatform, call: str) -> None:
    deadline = time.monotonic() + 120
    while call not in aws.mutations():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def fill(disk: Path) -> None:
    with suppress(OSError), (disk / "filler").open("ab", buffering=0) as file:
        while True:
            file.write(bytes(1 << 10))


class TestJournal:
    def test_its_disk_becomes_full(self, aws: AwsPlatform, operator: Operator, small_disk: Path) -> None:
        """What it keeps in reserve is enough to come to an end; when that is used up nothing more is done."""
        # Its first record fits into no page that is begun.
        operator = replace(operator, journal=small_disk / "journal", environment={"SUDO_USER": "x" * _PAGE})
        aws.arm(Fault.KILL_AFTER, 5)
        aws.arm(Fault.KILL_BEFORE, 8)
        assert operator.run().status == -signal.SIGKILL
        fill(small_disk)
        ended = operator.take_up("resume")
        assert ended.status == -signal.SIGKILL, ended.said
        assert not (small_disk / "journal/reserve").exists()
        fill(small_disk)
        done = aws.mutations()
        ended = operator.take_up("resume")
        assert ended.status == 3
        assert "No space left on device" in ended.said
        assert "make room there, then `vvctl upgrade resume`" in ended.said
        assert aws.mutations() == done
        (small_disk / "filler").unlink()
        ended = operator.take_up("resume")
        assert ended.status == 0, ended.said
        assert_whole(aws, NEW)

    def test_there_is_no_room_to_begin(self, aws: AwsPlatform, operator: Operator, small_disk: Path) -> None:
        fill(small_disk)
        ended = replace(operator, journal=small_disk / "journal").run()
        assert ended.status == 3
        assert "No space left on device" in ended.said
        assert aws.mutations() == []

    def test_its_last_record_is_torn(self, aws: AwsPlatform, operator: Operator) -> None:
        """As after a power failure while it was written."""
        aws.arm(Fault.KILL_BEFORE, 4)
        assert operator.run().status == -signal.SIGKILL
        journal = operator.journal / JOURNAL
        os.truncate(journal, journal.stat().st_size - 7)
        ended = operator.take_up("resume")
        assert ended.status == 0, ended.said
        assert_whole(aws, NEW)

    def test_its_computer_is_lost(self, aws: AwsPlatform, operator: Operator, tmp_path: Path) -> None:
        """A copy of the directory is enough elsewhere."""
        aws.arm(Fault.KILL_AFTER, 5)
        assert operator.run().status == -signal.SIGKILL
        shutil.copytree(operator.journal, tmp_path / "elsewhere")
        operator = replace(operator, journal=tmp_path / "elsewhere")
        ended = operator.take_up("rollback")
        assert ended.status == 0, ended.said
        assert_whole(aws, OLD)

    def test_it_is_damaged(self, aws: AwsPlatform, operator: Operator) -> None:
        """Then nobody knows what was decided, so nothing is done."""
        aws.arm(Fault.KILL_AFTER, 5)
        operator.run()
        journal = operator.journal / JOURNAL
        journal.write_bytes(journal.read_bytes().replace(b'"kind":"begun"', b'"kind":"began"'))
        done = len(aws.mutations())
        for command in (["resume"], ["rollback"], ["status"]):
            ended = operator.take_up(*command)
            assert ended.status == 1
            assert "line 1: its checksum is wrong" in ended.said
        assert len(aws.mutations()) == done


class TestOperator:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_interrupts_it(self, aws: AwsPlatform, operator: Operator, number: signal.Signals) -> None:
        process = operator.begin_run()
        wait_for(aws, "StopInstances")
        process.send_signal(number)
        ended = operator.end(process)
        assert ended.status == 130
        assert "interrupted in QUIESCE; nothing is lost" in ended.said
        ended = operator.take_up("resume")
        assert ended.status == 0, ended.said
        assert_whole(aws, NEW)

    def test_asks_how_far_it_is_from_another_terminal(self, aws: AwsPlatform, operator: Operator) -> None:
        process = operator.begin_run("--json")
        wait_for(aws, "StopInstances")
        found = json.loads(operator.take_up("status", "--json").said)
        assert found["worked_on"]
        assert found["phase"] == "forward"
        assert [entry["state"] for entry in found["states"]][:3] == ["LOCK", "PREFLIGHT", "STAGE_NEW"]
        ended = operator.end(process)
        assert ended.status == 0, ended.said
        events = [json.loads(line) for line in ended.said.splitlines()]
        assert events[-1]["event"] == "end"
        assert events[-1]["phase"] == "committed"

    def test_begins_it_twice(self, aws: AwsPlatform, operator: Operator) -> None:
        process = operator.begin_run()
        wait_for(aws, "CreateLaunchTemplate")
        process.send_signal(signal.SIGSTOP)
        for command in (["resume"], ["rollback"], ["finalize", "--yes"]):
            ended = operator.take_up(*command)
            assert ended.status == 1, ended.said
            assert "is in use by another run" in ended.said
        assert "an upgrade of this machine is under way" in operator.run().said
        process.send_signal(signal.SIGCONT)
        assert operator.end(process).status == 0
        assert_whole(aws, NEW)

    def test_has_to_say_what_may_be_lost(self, aws: AwsPlatform, operator: Operator) -> None:
        assert operator.run().status == 0
        ended = operator.take_up("rollback")
        assert ended.status == 2
        assert "--accept-data-loss" in ended.said
        assert_whole(aws, NEW)

    def test_says_nothing_when_asked(self, aws: AwsPlatform, operator: Operator) -> None:
        """There is no terminal."""
        process = operator.begin("run", *aws.run_arguments(), "--no-canary")
        ended = operator.end(process)
        assert ended.status == 1
        assert "nothing was done" in ended.said
        assert aws.mutations() == []
        assert not operator.journal.exists()


def test_the_network_is_cut_for_seconds(aws: AwsPlatform, operator: Operator) -> None:
    """Between the computer of the operator and all else, in the middle of it."""
    with apart(operator, aws) as (network, url):
        # The later of two --url counts.
        process = operator.begin_run("--url", url)
        for call in ("StopInstances", "AttachVolume"):
            wait_for(aws, call)
            with cut(network):
                time.sleep(3)
        ended = operator.end(process)
    assert ended.status == 0, ended.said
    assert_whole(aws, NEW)
    assert History.read(operator.journal).decided(Decision.OPENED)
