"""The process is killed at a call; the same command goes on and sends nothing again that had arrived."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .conftest import REGION, Engineer

VVCTL = Path(sys.executable).with_name("vvctl")


class Command:
    """`vvctl publish aws`, which a call of the double can kill."""

    def __init__(self, engineer: Engineer, dist: Path) -> None:
        self._arguments = [VVCTL, "publish", "aws", "--json", "--dist", dist, "--journal", engineer.journals]
        self._process: subprocess.Popen[str] | None = None

    def run(self) -> tuple[int, str, str]:
        self._process = subprocess.Popen(self._arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        out, err = self._process.communicate(timeout=120)
        return self._process.returncode, out, err

    def kill(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("service", "operation", "nth"),
    [
        ("ebs", "StartSnapshot", 1),
        ("ebs", "PutSnapshotBlock", 4),
        ("ebs", "CompleteSnapshot", 2),
        ("ec2", "RegisterImage", 1),
    ],
)
def test_killed_after_a_call_was_done(
    engineer: Engineer, dist: tuple[Path, dict[str, Path]], service: str, operation: str, nth: int
) -> None:
    command = Command(engineer, dist[0])
    owner = getattr(engineer.aws, service)
    done = getattr(owner, operation)
    count = 0

    def then_kill(call: Any, params: dict[str, Any]) -> Any:
        nonlocal count
        result = done(call, params)
        count += 1
        if count == nth:
            command.kill()
        return result

    setattr(owner, operation, then_kill)
    assert command.run()[0] == -signal.SIGKILL
    sent = engineer.aws.counts["PutSnapshotBlock"]
    setattr(owner, operation, done)

    status, out, err = command.run()
    assert status == 0, err
    engineer.assert_published(REGION)
    again = engineer.aws.counts["PutSnapshotBlock"] - sent
    uploads = json.loads(out)["uploads"]
    assert sum(upload["sent"] for upload in uploads) == again
    # What was acknowledged is not sent again; at most six are on their way at once here.
    assert again <= 6
    if operation in {"CompleteSnapshot", "RegisterImage"}:
        assert again == 0
