"""What a person types becomes what an upgrade works with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from vvctl.commands import upgrade
from vvctl.commands.upgrade_options import UsageError, combined, options
from vvctl.upgrade.options import Canary, Options

Taken = list[tuple[Any, ...]]


@pytest.fixture
def taken() -> Taken:
    return []


@pytest.fixture
def command(taken: Taken) -> typer.Typer:
    """A command of a provider that takes a name."""

    def find(*, name: Annotated[str, typer.Option(help="Of the machine.")]) -> dict[str, Any]:
        """A machine somewhere."""
        return {"machine": name}

    def into(facts: dict[str, Any], chosen: Options, provider: str, yes: bool = False) -> None:
        taken.append((facts, chosen, provider, yes))

    app = typer.Typer()
    app.command()(combined(find, options, into=into, provider="somewhere"))
    return app


def test_every_part_gets_its_options(command: typer.Typer, taken: Taken, tmp_path: Path) -> None:
    recording = tmp_path / "anna=monday.wav"
    recording.write_bytes(b"")
    words = ["--yes", "--drain", "5", "--name", "voice", "--canary", f"anna={recording}", "--start-within", "30"]
    assert CliRunner().invoke(command, words).exit_code == 0
    chosen = Options(drain_s=5, start_s=30, canaries=[Canary("anna", recording)])
    assert taken == [({"machine": "voice"}, chosen, "somewhere", True)]


def test_what_was_not_said_is_as_usual(command: typer.Typer, taken: Taken) -> None:
    assert CliRunner().invoke(command, ["--name", "voice"]).exit_code == 0
    assert taken == [({"machine": "voice"}, Options(), "somewhere", False)]


def test_the_help_is_that_of_the_provider(command: typer.Typer) -> None:
    said = CliRunner().invoke(command, ["--help"], env={"COLUMNS": "200"}).output
    for part in ("A machine somewhere.", "Of the machine.", "--canary", "--yes"):
        assert part in said


@pytest.mark.parametrize("canary", ["anna", "=anna.wav", "anna=", "anna=nowhere.wav"])
def test_a_canary_is_a_speaker_and_a_recording(canary: str) -> None:
    with pytest.raises(UsageError, match="names no speaker and recording") as caught:
        options(canary=[canary])
    assert caught.value.exit_status == 2


def test_the_commands_in_the_order_of_their_use() -> None:
    said = CliRunner().invoke(upgrade.app, ["--help"], env={"COLUMNS": "200"}).output
    places = [said.index(f" {name} ") for name in ("plan", "run", "status", "resume", "rollback", "finalize")]
    assert places == sorted(places)


@pytest.mark.parametrize("verb", ["plan", "run"])
@pytest.mark.parametrize("provider", ["aws", "local", "vmware"])
def test_every_provider_has_the_options_of_an_upgrade(verb: str, provider: str) -> None:
    said = CliRunner().invoke(upgrade.app, [verb, provider, "--help"], env={"COLUMNS": "200"}).output
    for option in ("--url", "--key", "--canary", "--drain", "--journal", "--json"):
        assert option in said
    assert ("--yes" in said) is (verb == "run")
