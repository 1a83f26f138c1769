"""Roles, their declared variables, their READMEs and what the playbook gives them fit together."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from vvctl.appliance import find_root

ROOT = find_root(Path(__file__).parent)
ROLES = sorted(path.parents[1].name for path in ROOT.glob("roles/*/tasks/main.yml"))


def read(path: str) -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / path).read_text(encoding="utf-8")) or {})


def options(role: str) -> dict[str, dict[str, Any]]:
    return dict(read(f"roles/{role}/meta/argument_specs.yml")["argument_specs"]["main"]["options"])


def test_playbook_uses_every_role() -> None:
    plays = yaml.safe_load((ROOT / "ansible/appliance.yml").read_text(encoding="utf-8"))
    used = [entry["role"] for play in plays for entry in play.get("roles", [])]
    assert sorted(used) == ROLES
    assert used[-1] == "sysprep"


@pytest.mark.parametrize("role", ROLES)
def test_required_variables_are_given_and_optional_ones_have_defaults(role: str) -> None:
    given = set(read("ansible/group_vars/all.yml"))
    required = {name for name, option in options(role).items() if option.get("required")}
    assert required <= given
    assert set(options(role)) - required == set(read(f"roles/{role}/defaults/main.yml"))


@pytest.mark.parametrize("role", ROLES)
def test_variables_are_named_after_their_role(role: str) -> None:
    assert [name for name in options(role) if not name.startswith(f"{role}_")] == []


@pytest.mark.parametrize("role", ROLES)
def test_no_variable_is_given_that_the_role_does_not_know(role: str) -> None:
    given = {name for name in read("ansible/group_vars/all.yml") if name.startswith(f"{role}_")}
    assert given <= set(options(role))


@pytest.mark.parametrize("role", ROLES)
def test_readme_lists_the_variables(role: str) -> None:
    text = (ROOT / "roles" / role / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)) == set(options(role))


@pytest.mark.parametrize("role", ROLES)
def test_role_does_not_reach_for_the_truth_itself(role: str) -> None:
    files = [path for path in (ROOT / "roles" / role).rglob("*") if path.suffix in {".yml", ".j2"}]
    assert [str(path) for path in files if re.search(r"\{\{[^}]*\bappliance\.", path.read_text(encoding="utf-8"))] == []
