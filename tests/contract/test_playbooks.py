"""ansible/{backup,restore,maintenance}.yml against a real service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyrage
import pytest

from tests.playbooks import Played, play

from .conftest import StartService
from .running import Service
from .speech import ANNA, ENROLMENT, TEST, samples, wav


@pytest.fixture
def service(start_service: StartService) -> Iterator[Service]:
    running = start_service()
    running.prepare("integrator", "operator", "viewer")
    running.enrol(ANNA, wav(samples(ANNA, ENROLMENT, 30))).raise_for_status()
    return running


def in_maintenance(service: Service) -> bool:
    with service.client("operator") as operator:
        return bool(operator.get("/api/v2/maintenance").json()["mode"])


def test_backup_is_made_and_restored(service: Service, tmp_path: Path) -> None:
    identity = pyrage.x25519.Identity.generate()
    (tmp_path / "key.txt").write_text(f"{identity}\n")
    appliance = {"vv_url": service.url, "vv_key": service.keys["operator"], "vv_recipient": str(identity.to_public())}
    made = play("backup", tmp_path, appliance, vv_backup_folder=str(tmp_path))
    assert (made.status, made.changed) == (0, 1), made.said
    (file,) = tmp_path.glob("voice1-*.backup.age")
    assert pyrage.decrypt(file.read_bytes(), [identity])
    with service.client() as integrator:
        integrator.patch(f"/api/v2/speakers/{ANNA}", json={"opted_out": True}).raise_for_status()
        integrator.patch(f"/api/v2/speakers/{ANNA}", json={"opted_out": False}).raise_for_status()
    restore = {"vv_backup_file": str(file)}
    refused = play("restore", tmp_path, appliance, **restore)
    assert (refused.status, refused.failed) == (2, 1)
    assert "is encrypted; hint: give the file with the private key" in refused.messages[0]
    restored = play("restore", tmp_path, appliance, **restore, vv_identity=str(tmp_path / "key.txt"))
    assert (restored.status, restored.changed) == (0, 1), restored.said
    assert service.verify(ANNA, wav(samples(ANNA, TEST, 8))).json()["decision"] == "verified"
    again: Played = play("backup", tmp_path, appliance, vv_backup_folder="/nowhere")
    assert "cannot be written" in again.messages[0]


def test_maintenance_mode_changes_once(service: Service, tmp_path: Path) -> None:
    appliance = {"vv_url": service.url, "vv_key": service.keys["operator"]}
    for mode in (True, False):
        for changed in (1, 0):
            played = play("maintenance", tmp_path, appliance, vv_maintenance=mode)
            assert (played.status, played.changed) == (0, changed), played.said
            assert in_maintenance(service) is mode


def test_failure_is_told_in_words_and_without_the_key(service: Service, tmp_path: Path) -> None:
    appliance = {"vv_url": service.url, "vv_key": service.keys["viewer"]}
    played = play("maintenance", tmp_path, appliance, vv_maintenance=True)
    assert played.status == 2
    assert played.messages[0].startswith("error: ")
    assert "hint: give an operator's key" in played.messages[0]
    assert service.keys["viewer"] not in played.said
    lost = play("maintenance", tmp_path, appliance | {"vv_program": "/nowhere/vvctl"}, vv_maintenance=True)
    assert lost.status == 2
