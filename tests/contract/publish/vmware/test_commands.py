"""`vvctl publish|validate|unpublish vmware` as a person runs them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.doubles.vmware.server import PASSWORD, USER

from .conftest import NAME, Engineer

Run = Callable[..., subprocess.CompletedProcess[str]]


def command(engineer: Engineer, verb: str, *options: str) -> list[str]:
    vcenter = engineer.vcenter
    return [
        str(Path(sys.executable).with_name("vvctl")), verb, "vmware",
        "--server", f"localhost:{vcenter.port}", "--ca-file", str(vcenter.identity.authority),
        "--ova", str(engineer.archive.path), "--name", NAME, *options,
    ]  # fmt: skip


def environment() -> dict[str, str]:
    return {**os.environ, "VV_VSPHERE_USER": USER, "VV_VSPHERE_PASSWORD": PASSWORD}


PLACE = ("--compute", "DC0_C0", "--network", "VM Network")


@pytest.fixture
def run(engineer: Engineer) -> Run:
    def run(verb: str, *options: str, answer: str = "") -> subprocess.CompletedProcess[str]:
        words = command(engineer, verb, *options)
        return subprocess.run(
            words, env=environment(), input=answer, capture_output=True, text=True, timeout=120, check=False
        )

    return run


def test_publish_validate_and_unpublish(engineer: Engineer, run: Run) -> None:
    dry = run("publish", *PLACE, "--dry-run")
    assert "can be published: 6." in dry.stdout, dry.stderr
    assert engineer.inventory() == []
    published = run("publish", *PLACE, "--tier", "2")
    assert published.stdout.startswith(f"{NAME} is vm-"), published.stderr
    assert run("validate", "--tier", "2").stdout.endswith(".ova says\n")
    wrong = run("validate")
    assert (wrong.returncode, "cores: 20 instead of 12" in wrong.stderr) == (1, True)
    refused = run("unpublish", answer="n\n")
    assert (refused.returncode, "nothing was done" in refused.stderr) == (1, True)
    assert engineer.inventory() == [NAME]
    assert run("unpublish", "--yes").stdout.startswith(f"removed {NAME}")
    assert engineer.inventory() == []
    for done in (dry, published, wrong, refused):
        assert PASSWORD not in done.stdout + done.stderr


def test_polite_kill_takes_back_what_was_made(engineer: Engineer) -> None:
    engineer.vcenter.fail(("UploadDisk", 2, "hang"))
    words = command(engineer, "publish", *PLACE)
    with subprocess.Popen(words, env=environment(), stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while engineer.vcenter.calls().count("UploadDisk") < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 130
    assert engineer.inventory() == []
