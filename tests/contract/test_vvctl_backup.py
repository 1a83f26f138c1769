"""`vvctl backup` and `vvctl maintenance` against real services: one that is backed up, a fresh one that takes over."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyrage
import pytest

from voice_verify.engine import packaged_profile

from .running import Service, until
from .speech import ANNA, BRUNO, ENROLMENT, TEST, samples, wav

VVCTL = Path(sys.executable).with_name("vvctl")
MAINTENANCE, PBX, PROFILES = "/api/v2/maintenance", "/api/v2/pbx", "/api/v2/maintenance/asp"
# What a backup holds whole: PBX instances come back without their passwords, keys and licences belong to an appliance.
HELD = ("speakers", "voiceprints", "profiles", "pbx_instances")


@dataclass(frozen=True)
class Key:
    """Somebody's age key, in a file as age-keygen makes it."""

    path: Path
    public: str

    @classmethod
    def make(cls, path: Path) -> Key:
        made = pyrage.x25519.Identity.generate()
        path.write_text(f"# created: 2026-11-23\n# public key: {made.to_public()}\n{made}\n")
        return cls(path, str(made.to_public()))


@pytest.fixture
def key(tmp_path: Path) -> Key:
    return Key.make(tmp_path / "key.txt")


@pytest.fixture(scope="module")
def source(
    database: Callable[[str], str], model_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """A service with some of everything that a backup holds."""
    service = Service(tmp_path_factory.mktemp("source"), model_dir, database("source"))
    service.prepare("integrator", "operator", "viewer")
    service.start()
    for voice in (ANNA, BRUNO):
        service.enrol(voice, wav(samples(voice, ENROLMENT, 30))).raise_for_status()
    document = packaged_profile("mixed").model_dump(mode="json") | {"name": "own", "uuid": str(uuid4())}
    with service.client("integrator") as integrator:
        consent = {"given_at": "2026-01-31T10:30:00+01:00", "reference": "form 7"}
        integrator.patch(f"/api/v2/speakers/{ANNA}", json={"consent": consent}).raise_for_status()
    with service.client("operator") as operator:
        operator.post(PROFILES, json=document).raise_for_status()
        operator.post(f"{PROFILES}/{document['uuid']}/active").raise_for_status()
        operator.post(PBX, json={"name": "Lyon", "host": "192.0.2.9", "username": "vv"}).raise_for_status()
    yield service
    service.stop()


@pytest.fixture
def target(database: Callable[[str], str], model_dir: Path, tmp_path: Path) -> Iterator[Service]:
    """A fresh appliance, with keys of its own."""
    folder = tmp_path / "target"
    folder.mkdir()
    service = Service(folder, model_dir, database(f"target_{uuid4().hex}"))
    service.prepare("integrator", "operator", "viewer")
    service.start()
    yield service
    service.stop()


def vvctl(
    service: Service, *arguments: str | Path, role: str = "operator", answer: str = ""
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "VV_URL": service.url, "VV_API_KEY": service.keys[role], "COLUMNS": "500"}
    return subprocess.run(
        [VVCTL, *arguments], env=environment, input=answer, capture_output=True, text=True, timeout=120, check=False
    )


def done(service: Service, *arguments: str | Path) -> dict[str, Any]:
    """What the command tells a program."""
    ended = vvctl(service, *arguments, "--json")
    assert ended.returncode == 0, ended.stderr
    (line,) = ended.stdout.splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


def failed(service: Service, *arguments: str | Path, **options: str) -> str:
    ended = vvctl(service, *arguments, **options)
    assert ended.returncode == 1, ended.stdout
    assert "Traceback" not in ended.stderr
    return ended.stderr


def operate(service: Service, method: str, path: str) -> Any:
    with service.client("operator") as operator:
        return operator.request(method, path).raise_for_status().json()


def records(service: Service) -> dict[str, Any]:
    found: dict[str, Any] = operate(service, "GET", f"{MAINTENANCE}/inventory")["records"]
    return found


def in_maintenance(service: Service) -> bool:
    return bool(operate(service, "GET", MAINTENANCE)["mode"])


def test_fresh_appliance_takes_over_all_that_a_backup_holds(
    source: Service, target: Service, key: Key, tmp_path: Path
) -> None:
    file = tmp_path / "made.age"
    with source.stream() as stream:
        # Calls go on.
        made = done(source, "backup", "make", file, "--recipient", key.public)
        stream.end()
    assert (made["encrypted"], made["bytes"], file.stat().st_mode & 0o777) == (True, file.stat().st_size, 0o600)
    assert file.read_bytes().startswith(b"age-encryption.org/v1\n-> X25519 ")
    verified = done(source, "backup", "verify", file, "--identity", key.path)
    assert verified["records"] == {"speakers": 2, "profiles": 1, "pbx_instances": 1}
    assert verified["sha256"] == made["sha256"]
    restored = done(target, "backup", "restore", file, "--identity", key.path, "--yes")
    assert (restored["restored"], restored["deleted_since"]) == (2, 0)
    before, after = records(source), records(target)
    assert {kind: after[kind] for kind in HELD} == {kind: before[kind] for kind in HELD}
    assert operate(target, "GET", f"{PROFILES}/active")["name"] == "own"
    assert not in_maintenance(target)
    for voice, claimed, decision in (
        (ANNA, ANNA, "verified"),
        (BRUNO, BRUNO, "verified"),
        (BRUNO, ANNA, "not_verified"),
    ):
        assert target.verify(claimed, wav(samples(voice, TEST, 8))).json()["decision"] == decision


def test_restore_asks_once_and_names_what_there_is(source: Service, target: Service, tmp_path: Path) -> None:
    file = tmp_path / "made.gz"
    assert "whoever reads" in vvctl(source, "backup", "make", file, answer="y\n").stdout
    target.enrol(ANNA, wav(samples(ANNA, ENROLMENT, 30))).raise_for_status()
    before = records(target)
    refused = vvctl(target, "backup", "restore", file, answer="n\n")
    assert refused.returncode == 1
    assert f"Replace what {target.url} (version 0.1.0) holds now (speakers 1) by the backup of 2" in refused.stdout
    assert "(speakers 2, Audio Source Profiles 1, PBX instances 1)?" in refused.stdout
    assert "nothing was done" in refused.stderr
    # Without anybody to ask, neither.
    assert "nothing was done" in failed(target, "backup", "restore", file)
    assert records(target)["speakers"] == before["speakers"]
    agreed = vvctl(target, "backup", "restore", file, answer="y\n")
    assert agreed.returncode == 0, agreed.stderr
    assert "2 speakers are back; 0 were deleted since" in agreed.stdout
    assert "PBX instances that this appliance did not know need theirs again" in agreed.stdout


def test_no_file_is_written_over_and_none_is_left_of_a_failure(source: Service, tmp_path: Path) -> None:
    file = tmp_path / "made"
    file.write_text("mine")
    assert "is there already" in failed(source, "backup", "make", file, "--yes")
    assert file.read_text() == "mine"
    for arguments, options, says in (
        (("--recipient", "age1nobody"), {}, "no public key of age"),
        (("--yes",), {"role": "viewer"}, "operator"),
        (("--yes", "--url", "http://127.0.0.1:1"), {}, "does not answer"),
    ):
        assert says in failed(source, "backup", "make", tmp_path / "new", *arguments, **options)
    assert "cannot be written" in failed(source, "backup", "make", tmp_path / "none/new", "--yes")
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["made"]


@pytest.mark.parametrize("encrypted", [True, False])
def test_damaged_or_foreign_file_is_refused_before_anything_is_touched(
    source: Service, target: Service, key: Key, tmp_path: Path, encrypted: bool
) -> None:
    whole = tmp_path / "whole"
    done(source, "backup", "make", whole, *(("--recipient", key.public) if encrypted else ("--yes",)))
    content = whole.read_bytes()
    middle = len(content) // 2
    bad = {
        "cut": content[:-40],
        "half": content[:middle],
        "changed": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "longer": content + b"more",
        "empty": b"",
        "foreign": b"SQLite format 3\0",
    }
    for name, broken in bad.items():
        path = tmp_path / name
        path.write_bytes(broken)
        for command in (("verify",), ("restore", "--yes")):
            assert f"{path}" in failed(target, "backup", *command, path, "--identity", key.path)
    assert records(target)["speakers"]["count"] == 0
    assert not in_maintenance(target)


def test_only_the_owner_of_the_key_restores(source: Service, target: Service, key: Key, tmp_path: Path) -> None:
    file, other = tmp_path / "made.age", Key.make(tmp_path / "other.txt")
    done(source, "backup", "make", file, "--recipient", key.public)
    (tmp_path / "no-key").write_text(f"{key.public}\n")
    restore = ("backup", "restore", file, "--yes")
    assert "is encrypted" in failed(target, *restore)
    assert "cannot be decrypted: No matching keys" in failed(target, *restore, "--identity", other.path)
    assert "holds no private key of age" in failed(target, *restore, "--identity", tmp_path / "no-key")
    assert records(target)["speakers"]["count"] == 0


def test_calls_are_waited_for_and_ended_only_on_request(source: Service, target: Service, tmp_path: Path) -> None:
    file = tmp_path / "made.gz"
    done(source, "backup", "make", file, "--yes")
    with target.stream() as stream:
        restore = ("backup", "restore", file, "--yes", "--drain", "0.5")
        assert "calls were still running after 0 s" in failed(target, *restore)
        # Nothing was done, so calls are let in again.
        assert not in_maintenance(target)
        assert done(target, *restore, "--force-off")["restored"] == 2
        assert stream.wait("end")
    assert not in_maintenance(target)


def test_maintenance_mode_stays_as_it_was(source: Service, target: Service, tmp_path: Path) -> None:
    file = tmp_path / "made.gz"
    done(source, "backup", "make", file, "--yes")
    assert done(target, "maintenance", "on") == {"event": "maintenance", "mode": True, "changed": True}
    assert done(target, "maintenance", "on")["changed"] is False
    done(target, "backup", "restore", file, "--yes")
    assert in_maintenance(target)
    assert done(target, "maintenance", "off")["changed"] is True
    assert done(target, "maintenance", "off") == {"event": "maintenance", "mode": False, "changed": False}
    assert vvctl(target, "maintenance", "off").stdout == "It takes calls.\n"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_restore_lets_calls_in_again(
    source: Service, target: Service, tmp_path: Path, how: signal.Signals
) -> None:
    file = tmp_path / "made.gz"
    done(source, "backup", "make", file, "--yes")
    environment = {**os.environ, "VV_URL": target.url, "VV_API_KEY": target.keys["operator"]}
    with target.stream() as stream:
        running = subprocess.Popen(
            [VVCTL, "backup", "restore", file, "--yes"], env=environment, stderr=subprocess.DEVNULL
        )
        until(lambda: in_maintenance(target), 60)
        running.send_signal(how)
        assert running.wait(timeout=60) == 130
        until(lambda: not in_maintenance(target))
        stream.end()
    assert records(target)["speakers"]["count"] == 0


def test_a_program_learns_why(target: Service, tmp_path: Path) -> None:
    ended = vvctl(target, "backup", "verify", tmp_path / "none", "--json")
    said = json.loads(ended.stdout)
    assert (ended.returncode, said["event"], said["code"]) == (1, "error", "backup_unreadable")
