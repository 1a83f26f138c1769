"""Every role is complete by itself and knows no other one: what two of them share, group_vars tells both."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from vvctl.appliance import find_root

ROOT = find_root(Path(__file__).parent)
ROLES = sorted(path.parents[1].name for path in ROOT.glob("roles/*/tasks/main.yml"))
# Where each role may put files of its own beside those of others.
SHARED_FOLDERS = {"/usr/lib/voice-verify/"}


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def sources(role: str) -> dict[str, str]:
    """What the role runs and installs, by path; its tests look at the whole machine and are left out."""
    folder = ROOT / "roles" / role
    paths = [
        path
        for part in ("defaults", "files", "meta", "tasks", "templates", "vars")
        for path in folder.rglob(f"{part}/**/*")
    ]
    readable = [path for path in paths if path.is_file() and path.suffix != ".pyc"]
    return {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in readable}


def variables(role: str) -> set[str]:
    """The role's variables, given from outside or its own."""
    folder = ROOT / "roles" / role
    names = set(load(folder / "meta/argument_specs.yml")["argument_specs"]["main"]["options"])
    own = folder / "vars/main.yml"
    return names | set(load(own) if own.exists() else {})


def tasks(entries: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for entry in entries:
        yield entry
        for part in ("block", "rescue", "always"):
            yield from tasks(entry.get(part, []))


def installed(role: str) -> set[str]:
    """Files that the role writes, where their path stands in its tasks."""
    found = set()
    for path in (ROOT / "roles" / role / "tasks").glob("*.yml"):
        for task in tasks(load(path)):
            for module in ("copy", "template"):
                destination = str(task.get(f"ansible.builtin.{module}", {}).get("dest", ""))
                items = task.get("loop", [])
                if isinstance(items, list) and all(isinstance(item, str) for item in items):
                    found |= {re.sub(r"\{\{ item \}\}", item, destination) for item in items or [""]}
    return {path for path in found if path.startswith("/") and "{{" not in path} - SHARED_FOLDERS


def test_roles_were_found() -> None:
    assert {"base", "hardening", "setup", "voice_verify"} <= set(ROLES)
    assert "/etc/sudoers.d/administrator" in installed("base")
    assert "/usr/sbin/vv-updates" in installed("hardening")
    assert "data_disk_mount_unit" in variables("data_disk")


@pytest.mark.parametrize("role", ROLES)
def test_role_has_all_that_makes_it_one(role: str) -> None:
    folder = ROOT / "roles" / role
    for name in (
        "README.md",
        "meta/argument_specs.yml",
        "molecule/default/converge.yml",
        "molecule/default/molecule.yml",
    ):
        assert (folder / name).is_file(), name
    verified = list((folder / "molecule/default/tests").glob("test_*.py"))
    assert verified
    assert all("testinfra_hosts" in path.read_text(encoding="utf-8") for path in verified)
    assert f"roles/test-roles.sh {role}" in (folder / "README.md").read_text(encoding="utf-8")


def test_every_scenario_runs_twice_then_in_check_mode_and_is_verified() -> None:
    shared = load(ROOT / "roles/molecule-base.yml")
    steps = shared["scenario"]["test_sequence"]
    assert shared["verifier"]["name"] == "testinfra"
    assert [step for step in steps if step in {"converge", "idempotence", "check", "verify"}] == [
        "converge", "idempotence", "check", "verify",
    ]  # fmt: skip
    for role in ROLES:
        own = load(ROOT / "roles" / role / "molecule/default/molecule.yml") or {}
        assert "scenario" not in own, f"{role} leaves steps out"


@pytest.mark.parametrize("role", ROLES)
def test_role_mentions_no_variable_of_another_one(role: str) -> None:
    foreign = set().union(*(variables(other) for other in ROLES if other != role)) - variables(role)
    found = {
        path: words
        for path, text in sources(role).items()
        if (words := sorted(foreign & set(re.findall(r"\w+", text))))
    }
    assert found == {}


@pytest.mark.parametrize("role", ROLES)
def test_role_mentions_no_file_of_another_one(role: str) -> None:
    foreign = set().union(*(installed(other) for other in ROLES if other != role)) - installed(role)
    found = {path: names for path, text in sources(role).items() if (names := sorted(f for f in foreign if f in text))}
    assert found == {}
