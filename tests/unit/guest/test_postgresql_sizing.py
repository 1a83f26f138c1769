"""PostgreSQL's memory follows the machine's, and what the documentation says about it is what the program does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import postgresql_sizing
import pytest
from vv_setup import sizing

from vvctl.appliance import Appliance, Tier
from vvctl.sizing.tiers import memory_mb


@pytest.fixture
def settings(tmp_path: Path, appliance: Appliance) -> dict[str, Any]:
    return {
        "sizing_file": str(tmp_path / "machine.json"),
        "target": str(tmp_path / "sizing.conf"),
        "connections": appliance.database.connections,
        "memory_shares": appliance.database.memory_shares.model_dump(),
    }


def run(settings: dict[str, Any], machine: str | None, folder: Path) -> subprocess.CompletedProcess[str]:
    if machine is not None:
        Path(settings["sizing_file"]).write_text(machine)
    file = folder / "settings.json"
    file.write_text(json.dumps(settings))
    program = str(postgresql_sizing.__file__)
    return subprocess.run([sys.executable, "-IS", program, file], capture_output=True, text=True, check=False)


def test_writes_settings_that_follow_the_memory(tmp_path: Path, settings: dict[str, Any]) -> None:
    assert run(settings, '{"memory_gb": 16.0}', tmp_path).returncode == 0
    lines = Path(settings["target"]).read_text().splitlines()
    assert {"shared_buffers = 2048MB", "effective_cache_size = 8192MB", "work_mem = 20MB"} <= set(lines)


def test_reads_what_first_boot_leaves(tmp_path: Path, settings: dict[str, Any], appliance: Appliance) -> None:
    tiers = cast("list[sizing.Tier]", [tier.model_dump() for tier in appliance.tiers])
    assert run(settings, json.dumps(sizing.this_machine(tiers)), tmp_path).returncode == 0
    assert "shared_buffers" in Path(settings["target"]).read_text()


@pytest.mark.parametrize("machine", [None, "{torn", "{}", '{"memory_gb": "?"}', "[]"])
def test_unknown_size_leaves_the_defaults_in_force(
    tmp_path: Path, settings: dict[str, Any], machine: str | None
) -> None:
    Path(settings["target"]).write_text("shared_buffers = 64000MB\n")
    done = run(settings, machine, tmp_path)
    assert done.returncode == 1
    assert "machine.json" in done.stderr
    assert not Path(settings["target"]).exists()


def test_smallest_machine_gets_what_postgresql_needs(settings: dict[str, Any]) -> None:
    assert min(postgresql_sizing.memory_mb(settings["memory_shares"], 50, 0.25).values()) >= 4


@pytest.mark.parametrize("tier", [1, 2, 3])
def test_documentation_says_what_the_program_does(appliance: Appliance, settings: dict[str, Any], tier: int) -> None:
    found: Tier = appliance.tiers[tier - 1]
    real = postgresql_sizing.memory_mb(settings["memory_shares"], settings["connections"], found.memory_gb)
    assert real == memory_mb(appliance, found)


def test_all_connections_together_leave_the_machine_most_of_its_memory(settings: dict[str, Any]) -> None:
    values = postgresql_sizing.memory_mb(settings["memory_shares"], settings["connections"], 16)
    taken = values["shared_buffers"] + values["work_mem"] * settings["connections"] + 4 * values["maintenance_work_mem"]
    assert taken < 16 * 1024 / 3
