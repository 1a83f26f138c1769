"""`vvctl demo` against the real service."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from .running import Service
from .speech import ANNA, BRUNO, ENROLMENT, TEST, samples, wav

# None of this depends on the kind of database.
pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
def recordings(tmp_path: Path) -> list[Path]:
    """Three short ones of Anna that are enough together, then one of her and one of another."""
    parts = [*np.array_split(samples(ANNA, ENROLMENT, 36), 3), samples(ANNA, TEST, 6), samples(BRUNO, TEST, 6)]
    paths = [tmp_path / f"{number}.wav" for number in range(len(parts))]
    for path, part in zip(paths, parts, strict=True):
        path.write_bytes(wav(part))
    return paths


def test_enrols_joined_recordings_and_verifies_the_last(service: Service, recordings: list[Path]) -> None:
    *enrolment, same, other = recordings
    assert _demo(service, *enrolment, same).stdout.startswith("demo: verified since ")
    assert _demo(service, *enrolment, other).stdout.startswith("demo: not_verified since ")


def test_says_when_there_is_too_little_speech(service: Service, recordings: list[Path]) -> None:
    done = _demo(service, recordings[0], recordings[3])
    assert done.returncode == 1
    assert "not_enough_speech" in done.stderr
    assert "hint: give more recordings" in done.stderr


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        (["--key="], "an API key is needed", "VV_API_KEY"),
        (["--key=vv_wrong"], "not known", "voice-verify keys create"),
        (["--url=http://127.0.0.1:1"], "does not answer", "make run"),
    ],
)
def test_says_what_to_do_when_the_service_is_out_of_reach(
    service: Service, recordings: list[Path], options: list[str], message: str, hint: str
) -> None:
    done = _demo(service, recordings[0], *options)
    assert done.returncode == 1
    assert message in done.stderr
    assert hint in done.stderr.partition("hint:")[2]


def test_names_a_recording_that_it_cannot_read(service: Service, tmp_path: Path) -> None:
    done = _demo(service, tmp_path / "nothing.wav")
    assert done.returncode == 1
    assert "nothing.wav" in done.stderr


def _demo(service: Service, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name("vvctl"), "demo", "--url", service.url, "--speed", "20", *arguments]
    return subprocess.run(
        command,
        env={"VV_API_KEY": service.keys["integrator"], "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
