"""ansible/upgrade.yml on the double."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.playbooks import Played, play

from .platform import NAME, AwsPlatform


@pytest.fixture(autouse=True)
def environment(aws: AwsPlatform, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for key, value in aws.env().items():
        monkeypatch.setenv(key, value)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def upgrade(aws: AwsPlatform, folder: Path, step: str, *options: str) -> Played:
    *_, url = aws.run_arguments()
    appliance = {"vv_url": url, "vv_key": aws.env()["VV_API_KEY"], "vv_upgrade_target": ["aws", "--machine", NAME]}
    return play("upgrade", folder, appliance, vv_upgrade=step, vv_options=list(options))


def test_plan_then_run_then_finalize(aws: AwsPlatform, tmp_path: Path) -> None:
    before = aws.mutations()
    planned = upgrade(aws, tmp_path, "plan")
    assert (planned.status, planned.changed) == (0, 0), planned.said
    assert aws.mutations() == before
    ran = upgrade(aws, tmp_path, "run", "--no-canary", "--poll", "0.05")
    assert (ran.status, ran.changed) == (0, 1), ran.said
    final = upgrade(aws, tmp_path, "finalize")
    assert (final.status, final.changed) == (0, 1), final.said


def test_what_stands_in_the_way_is_told(aws: AwsPlatform, tmp_path: Path) -> None:
    aws.machines.volumes[aws.data.id].attachment = None
    refused = upgrade(aws, tmp_path, "run", "--no-canary")
    assert refused.status == 2
    assert "no data volume" in refused.messages[0]
