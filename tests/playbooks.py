"""Runs the playbooks of administrators, as they do: with an inventory of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[1]
_PROGRAMS = Path(sys.executable).parent


@dataclass(frozen=True)
class Played:
    """`changed`, `failed`: tasks, of the one appliance in the inventory."""

    status: int
    said: str
    changed: int
    failed: int
    messages: list[str]


def play(name: str, folder: Path, appliance: Mapping[str, Any], **given: Any) -> Played:
    """Run ansible/NAME.yml for one appliance with these variables in the inventory, and `given` on the command line."""
    inventory = folder / "inventory.json"
    variables = {**appliance, "vv_program": str(_PROGRAMS / "vvctl")}
    inventory.write_text(json.dumps({"voice_verify": {"hosts": {"voice1": variables}}}))
    ended = subprocess.run(
        [
            _PROGRAMS / "ansible-playbook",
            f"--inventory={inventory}",
            f"--extra-vars={json.dumps(given)}",
            _ROOT / "ansible" / f"{name}.yml",
        ],
        env={**os.environ, "ANSIBLE_CONFIG": str(_ROOT / "ansible/ansible.cfg"), "ANSIBLE_STDOUT_CALLBACK": "json"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    document = json.loads(ended.stdout[ended.stdout.index("{") :])
    stats = document["stats"]["voice1"]
    results = [task["hosts"]["voice1"] for found in document["plays"] for task in found["tasks"]]
    messages = [str(result["msg"]) for result in results if result.get("failed") and "msg" in result]
    return Played(ended.returncode, ended.stdout + ended.stderr, stats["changed"], stats["failures"], messages)
