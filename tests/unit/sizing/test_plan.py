"""`vvctl size`: which machine a number of calls needs."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from vvctl.appliance import Appliance
from vvctl.cli import app
from vvctl.sizing.plan import Need, TooManyCalls, plan


def test_incumbents_example_gives_the_incumbents_disk(appliance: Appliance) -> None:
    # "one stream running 24 hours a day straight generates 15GB logs during 90 days"
    assert plan(appliance, Need(calls=1, hours=24, days=90)).logs_gb == 15


def test_eighty_calls_for_ten_hours(appliance: Appliance) -> None:
    found = plan(appliance, Need(calls=80, hours=10, days=90))
    assert (found.tier.id, found.tier.cores, found.tier.memory_gb) == (2, 20, 24)
    # 40 GB as delivered, and 80 x 15 GB x 10/24.
    assert (found.logs_gb, found.data_disk_gb) == (500, 540)
    assert any("432 GB" in reason for reason in found.why)


@pytest.mark.parametrize(("calls", "tier"), [(1, 1), (50, 1), (51, 2), (100, 2), (101, 3), (150, 3)])
def test_tier_is_the_smallest_that_holds_the_calls(appliance: Appliance, calls: int, tier: int) -> None:
    assert plan(appliance, Need(calls, 1, 90)).tier.id == tier


def test_more_calls_than_a_machine_holds_are_refused_with_how_many_machines(appliance: Appliance) -> None:
    with pytest.raises(TooManyCalls, match="at most 150") as refusal:
        plan(appliance, Need(301, 10, 90))
    assert refusal.value.hint.startswith("3 machines")


def test_disk_grows_with_each_of_the_three(appliance: Appliance) -> None:
    base = plan(appliance, Need(50, 10, 90)).logs_gb
    assert plan(appliance, Need(100, 10, 90)).logs_gb == 2 * base
    assert plan(appliance, Need(50, 20, 90)).logs_gb == 2 * base
    assert plan(appliance, Need(50, 10, 180)).logs_gb == 2 * base


def test_says_when_the_image_keeps_logs_for_another_time(appliance: Appliance) -> None:
    assert any("90 days: retention.logs_days" in reason for reason in plan(appliance, Need(1, 1, 30)).why)
    assert not any("retention.logs_days" in reason for reason in plan(appliance, Need(1, 1, 90)).why)


def test_command_prints_for_people_and_for_programs() -> None:
    words = ["size", "--calls", "80", "--days", "90", "--hours", "10"]
    people = CliRunner().invoke(app, words)
    assert people.exit_code == 0
    assert "540 GB" in people.output
    assert "holds 80 calls" in people.output
    programs = json.loads(CliRunner().invoke(app, [*words, "--json"]).output)
    assert (programs["tier"], programs["data_disk_gb"], programs["aws_instance"]) == (2, 540, "c7i.8xlarge")


@pytest.mark.parametrize(
    "wrong", [["--calls", "0"], ["--calls", "9", "--hours", "25"], ["--calls", "9", "--days", "0"]]
)
def test_command_refuses_what_makes_no_sense(wrong: list[str]) -> None:
    assert CliRunner().invoke(app, ["size", *wrong]).exit_code == 2
