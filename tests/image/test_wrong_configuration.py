"""A machine that was set up gets a disc with a mistake on it: it says what to mend, and stays as it was."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.unit.guest.certificates import make
from tests.unit.guest.wrong_configurations import Wrong, wrong_configurations
from vvctl.machine import write_environment_disc

from .guest import Guest
from .sources import write_nocloud_disc

# Those of EC2 need EC2; the unit tests give each to a folder. Here each takes seconds: so many, of every kind.
_SOME = 20
_FITTING = [case for case in wrong_configurations(make()) if not case.cloud]
CASES = [_FITTING[number * len(_FITTING) // _SOME] for number in range(_SOME)]
# As at boot, without the boot: the unit's output is on the console. Times and modes count as well.
APPLY = (
    "systemctl reset-failed vv-setup 2>/dev/null; systemctl restart vv-setup 2>/dev/null;"
    " cat /run/voice-verify/setup.json; echo; tar --create --directory=/ etc | sha256sum"
)


def apply(guest: Guest, disc: Path) -> tuple[dict[str, Any], str]:
    """The outcome of the setup with `disc` in the drive, and the digest of /etc after it."""
    guest.machine.insert_disc(disc)
    outcome, digest = guest.shell.run(APPLY, timeout_s=guest.slow(30)).splitlines()
    return json.loads(outcome), digest


def write(path: Path, properties: Mapping[str, str], *, person: bool) -> Path:
    return (write_nocloud_disc if person else write_environment_disc)(path, properties)


@pytest.fixture(scope="module")
def before(without_data: Guest) -> str:
    """The digest of /etc with the disc that it was set up from."""
    without_data.wait_ssh()
    return without_data.root("tar --create --directory=/ etc | sha256sum")


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_mistake_is_told_on_the_console_and_changes_nothing(
    without_data: Guest, before: str, tmp_path: Path, case: Wrong
) -> None:
    said = len(without_data.machine.console())
    outcome, after = apply(without_data, write(tmp_path / "wrong.iso", case.properties, person=case.person))
    assert outcome["state"] == "refused", outcome
    for words in case.says:
        assert words in outcome["problems"][0]

    def on_the_console() -> bool | None:
        return f"SETUP:   {outcome['problems'][0]}" in without_data.machine.console()[said:] or None

    without_data.until("the console to say so", on_the_console, 10)
    assert not case.hidden or case.hidden not in without_data.machine.console()
    assert after == before


def test_status_names_the_mistake_and_the_way_out(without_data: Guest, before: str, tmp_path: Path) -> None:
    mistake = {"address": "192.0.2.10/24", "gateway": "198.51.100.1"}
    apply(without_data, write_environment_disc(tmp_path / "wrong.iso", mistake))
    status = without_data.shell.attempt("vv-status").stdout
    assert "gateway = '198.51.100.1': it is outside the network 192.0.2.0/24" in status
    assert "sudo vv-setup set KEY=VALUE" in without_data.root("journalctl --boot --unit=vv-setup --lines=5")


@pytest.fixture
def corrected(without_data: Guest, before: str, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The disc that it was set up from, with another name."""
    properties = without_data.properties
    yield {**properties, "hostname": "corrected"}
    apply(without_data, write_environment_disc(tmp_path / "right.iso", properties))


def test_corrected_disc_is_taken(without_data: Guest, corrected: dict[str, str], tmp_path: Path) -> None:
    outcome, _ = apply(without_data, write_environment_disc(tmp_path / "corrected.iso", corrected))
    assert (outcome["state"], outcome["problems"]) == ("applied", [])
    assert without_data.root("hostname; cat /etc/hostname").split() == ["corrected", "corrected"]
