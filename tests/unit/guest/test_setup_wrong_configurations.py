"""Every mistake ends in a message that names the property and what to do, and in an unchanged machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from vv_setup import report
from vv_setup.apply import set_up
from vv_setup.environment import Environment

from .certificates import Certificates, make
from .wrong_configurations import STATIC, Wrong, wrong_configurations

CASES = wrong_configurations(make())
GOOD = Environment("a test", {**STATIC, "hostname": "before"})


def environment(case: Wrong) -> Environment:
    return Environment("a test", case.properties, only_our_keys=case.person or case.cloud, assigns_addresses=case.cloud)


def tree(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in sorted(root.rglob("*")) if path.is_file()}


def test_there_are_at_least_twenty() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 20


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_mistake_is_told_and_changes_nothing(tmp_path: Path, settings: dict[str, Any], case: Wrong) -> None:
    set_up(settings, GOOD, tmp_path)
    before = tree(tmp_path)
    outcome = set_up(settings, environment(case), tmp_path)
    assert outcome["state"] == "refused"
    assert len(outcome["problems"]) == 1, outcome["problems"]
    for words in case.says:
        assert words in outcome["problems"][0]
    assert len(outcome["problems"][0]) < 250
    assert tree(tmp_path) == before
    lines = "\n".join(report.outcome(outcome))
    assert outcome["problems"][0] in lines
    assert not case.hidden or case.hidden not in lines


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_corrected_properties_are_taken(tmp_path: Path, settings: dict[str, Any], case: Wrong) -> None:
    assert set_up(settings, environment(case), tmp_path)["state"] == "refused"
    assert set_up(settings, GOOD, tmp_path)["state"] == "applied"
    assert "Address=192.0.2.10/24" in (tmp_path / "etc/systemd/network/10-voice-verify.network").read_text()


@pytest.mark.parametrize("case", [case for case in CASES if not case.person], ids=lambda case: case.name)
def test_mistake_can_be_corrected_on_the_machine(tmp_path: Path, settings: dict[str, Any], case: Wrong) -> None:
    # An empty value stands for the default, which is never wrong.
    corrections = dict.fromkeys(case.properties, "")
    assert set_up(settings, environment(case), tmp_path, corrections)["state"] == "applied"


def test_all_mistakes_are_told_at_once(tmp_path: Path, settings: dict[str, Any], certificates: Certificates) -> None:
    wrong = {"hostname": "_", "address": "x", "dns": "z", "ssh_key": "y", "certificate": certificates.key, "tier": "L"}
    problems = set_up(settings, Environment("a test", wrong), tmp_path)["problems"]
    assert [problem.replace(":", " ").split()[0] for problem in problems] == list(wrong)
