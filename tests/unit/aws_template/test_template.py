"""The CloudFormation template: valid, derived from appliance.yml, and careful with what is typed in."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from vvctl.appliance import Appliance
from vvctl.aws_template import render, template
from vvctl.cli import app


@pytest.fixture(scope="module")
def made(appliance: Appliance) -> dict[str, Any]:
    return template(appliance)


def test_cfn_lint_has_nothing_to_say(appliance: Appliance, tmp_path: Path) -> None:
    # In this process: starting the program costs as much as the check.
    from cfnlint.api import ManualArgs, lint_file  # noqa: PLC0415

    file = tmp_path / "template.yaml"
    file.write_text(render(appliance))
    assert [str(match) for match in lint_file(file, config=ManualArgs(regions=["us-east-1", "eu-central-1"]))] == []


def test_yaml_says_the_same_as_the_template(appliance: Appliance, made: dict[str, Any]) -> None:
    assert yaml.safe_load(render(appliance)) == made


def test_customers_data_stays_when_the_stack_goes(made: dict[str, Any]) -> None:
    disk = made["Resources"]["DataDisk"]
    assert (disk["DeletionPolicy"], disk["UpdateReplacePolicy"]) == ("Snapshot", "Snapshot")


def test_images_own_data_disk_stays_out(appliance: Appliance, made: dict[str, Any]) -> None:
    mappings = made["Resources"]["Machine"]["Properties"]["BlockDeviceMappings"]
    assert {"DeviceName": appliance.aws.data_device, "NoDevice": {}} in mappings


def test_every_parameter_is_used_and_stands_in_a_group(made: dict[str, Any]) -> None:
    grouped = [
        name
        for group in made["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
        for name in group["Parameters"]
    ]
    assert sorted(grouped) == sorted(made["Parameters"])
    body = str(made["Resources"]) + str(made["Conditions"])
    assert [name for name in made["Parameters"] if f"'{name}'" not in body and f"${{{name}}}" not in body] == []


def test_whom_to_let_in_is_always_asked(made: dict[str, Any]) -> None:
    for name in ("SshSources", "WebSources", "CallSources"):
        assert "Default" not in made["Parameters"][name]


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPJ0bGVhc2U= admin@example.org"


@pytest.mark.parametrize(
    ("parameter", "good", "bad"),
    [
        ("Hostname", ["vv1", "a", "VV-2"], ["", "-a", "a-", "a.b", 'a"b', "a" * 64]),
        ("Domain", ["", "example.org"], ["a b", 'a"', "a/b"]),
        ("SshKey", ["", KEY, KEY.partition(" admin")[0]], [f'{KEY}"', f"{KEY}\\", "hello", "-----BEGIN KEY-----"]),
        ("OperatorKeySha256", ["", "a" * 64], ["a" * 63, "g" * 64]),
        ("SshSources", ["0.0.0.0/0", "192.0.2.0/24"], ["", "192.0.2.0", "256.0.0.0/8", "192.0.2.0/33", "x"]),
        ("AudiosocketPeers", ["", "192.0.2.1/32"], ["192.0.2.1", "everybody"]),
    ],
)
def test_parameters_refuse_what_the_machine_would(
    made: dict[str, Any], parameter: str, good: list[str], bad: list[str]
) -> None:
    pattern = made["Parameters"][parameter]["AllowedPattern"]
    assert [value for value in good if not re.search(pattern, value)] == []
    assert [value for value in bad if re.search(pattern, value)] == []


def test_command_prints_or_writes(tmp_path: Path, appliance: Appliance) -> None:
    printed = CliRunner().invoke(app, ["aws", "template"])
    assert (printed.exit_code, printed.output) == (0, render(appliance))
    target = tmp_path / "vv.yaml"
    assert CliRunner().invoke(app, ["aws", "template", "--output", str(target)]).exit_code == 0
    assert target.read_text() == render(appliance)
