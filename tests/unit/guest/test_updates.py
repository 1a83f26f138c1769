"""`vv-updates`: the switch on the data disk, and what it says waits for a restart."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from vv_updates import waiting
from vv_updates.main import SETTINGS, STAMP, main

UNITS = ["postgresql.service", "voice-verify.service"]
# As proc_pid_maps(5) shows them: running code, the same after an update, shared memory, and a data file that is gone.
MAPPED = "7f1c-7f1d r-xp 00000000 08:03 131 /usr/lib/x86_64-linux-gnu/libssl.so.3"
REPLACED = f"{MAPPED} (deleted)"
SHARED_MEMORY = "7f2c-7f2d rw-s 00000000 00:01 1025 /dev/zero (deleted)"
DATA_FILE = "7f3c-7f3d r--p 00000000 08:03 132 /usr/lib/locale/C.utf8/LC_CTYPE (deleted)"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file tree with the data disk mounted, the newest kernel running, and no process."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    (tmp_path / "data").mkdir()
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot/vmlinuz").symlink_to(f"vmlinuz-{os.uname().release}")
    settings = tmp_path / SETTINGS
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps({"updates_file": "/data/automatic-updates", "kept_running": UNITS}))
    return tmp_path


def run_process(machine: Path, unit: str, pid: int, *maps: str) -> None:
    group = machine / waiting.CONTROL_GROUPS / unit
    group.mkdir(parents=True, exist_ok=True)
    with (group / "cgroup.procs").open("a") as file:
        file.write(f"{pid}\n")
    process = machine / "proc" / str(pid)
    process.mkdir(parents=True)
    (process / "maps").write_text("\n".join(maps) + "\n")


def test_delivered_machine_installs_nothing(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status"], machine) == 0
    said = capsys.readouterr().out
    assert "off" in said
    assert "never" in said
    assert "not needed" in said


def test_switch_is_a_file_on_the_data_disk(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["on"], machine) == 0
    assert (machine / "data/automatic-updates").exists()
    assert main(["off"], machine) == 0
    assert not (machine / "data/automatic-updates").exists()
    assert main(["off"], machine) == 0


def test_switch_is_not_written_to_the_system_disk(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (machine / "data").rmdir()
    assert main(["on"], machine) == 1
    assert "is the data disk there" in capsys.readouterr().err


def test_status_is_for_programs_too(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (machine / STAMP).parent.mkdir(parents=True)
    (machine / STAMP).touch()
    os.utime(machine / STAMP, (1_800_000_000, 1_800_000_000))
    assert main(["status", "--json"], machine) == 0
    assert json.loads(capsys.readouterr().out) == {
        "automatic": False,
        "last_run": "2027-01-15T08:00:00+00:00",
        "kernel_waiting": None,
        "services_waiting": [],
    }


def test_newer_kernel_on_the_disk_waits_for_a_restart(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (machine / "boot/vmlinuz").unlink()
    (machine / "boot/vmlinuz").symlink_to("vmlinuz-99.1-cloud-amd64")
    main(["status"], machine)
    assert "kernel 99.1-cloud-amd64 is installed" in capsys.readouterr().out


def test_service_with_a_replaced_library_waits_for_a_restart(machine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_process(machine, "postgresql.service", 100, MAPPED, SHARED_MEMORY, DATA_FILE)
    run_process(machine, "voice-verify.service", 200, MAPPED)
    run_process(machine, "voice-verify.service", 201, REPLACED)
    main(["status"], machine)
    assert "systemctl restart voice-verify.service\n" in capsys.readouterr().out


def test_process_that_ends_meanwhile_is_no_trouble(machine: Path) -> None:
    run_process(machine, "voice-verify.service", 200, REPLACED)
    (machine / "proc/200/maps").unlink()
    assert waiting.services(UNITS, machine) == []


def test_update_fetches_before_it_installs(
    machine: Path, programs: Callable[[str, str], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log"
    for name in ("apt-get", "unattended-upgrade"):
        programs(name, f'echo "{name} $*" >> {log}')
    assert main(["now"], machine) == 0
    assert log.read_text().splitlines() == ["apt-get update --error-on=any", "unattended-upgrade --verbose"]


def test_nothing_is_installed_when_fetching_fails(
    machine: Path, programs: Callable[[str, str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    programs("apt-get", "exit 100")
    programs("unattended-upgrade", f"touch {machine}/installed")
    assert main(["now"], machine) == 1
    assert "hint: is the archive in" in capsys.readouterr().err
    assert not (machine / "installed").exists()


@pytest.mark.parametrize("arguments", [[], ["maybe"], ["on", "off"], ["now", "--json"]])
def test_wrong_usage_is_told(machine: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments, machine) == 2
    assert capsys.readouterr().err.startswith("usage: vv-updates")
