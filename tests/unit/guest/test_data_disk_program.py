"""The whole program on disk images: the real e2fsprogs and blkid, and an lsblk that lists the images as disks."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from vv_data_disk import main as program
from vv_data_disk.main import Settings

MIB = 1 << 20
SIZE = 64 * MIB


class Machine:
    """A machine whose disks are sparse files."""

    def __init__(self, folder: Path, programs: Callable[[str, str], None]) -> None:
        self.folder = folder
        self.programs = programs
        self.settings = Settings("vv-data", "/data", 0, 1, 0, str(folder / "run" / "data-disk.json"))
        programs("udevadm", "exit 0")

    def disk(self, name: str, size: int = SIZE) -> Path:
        path = self.folder / name
        with path.open("wb") as file:
            file.truncate(size)
        return path

    def data_disk(self, name: str, note: str | None = None) -> Path:
        path = self.disk(name)
        subprocess.run(["mkfs.ext4", "-q", "-L", "vv-data", str(path)], check=True)
        if note is not None:
            source = self.folder / "note"
            source.write_text(note, encoding="utf-8")
            subprocess.run(["debugfs", "-w", "-R", f"write {source} .voice-verify.json", str(path)], check=True)
        return path

    def list_disks(self, *paths: Path) -> str:
        """What lsblk prints on a machine with the system's disk and `paths`."""
        system = self.disk("system")
        disks: list[dict[str, object]] = [
            {"path": str(path), "type": "disk", "size": path.stat().st_size, "ro": False, "mountpoints": [None]}
            for path in (system, *paths)
        ]
        disks[0]["children"] = [{**disks[0], "type": "part", "mountpoints": ["/"]}]
        return json.dumps({"blockdevices": disks})

    def run(self) -> dict[str, object]:
        self.programs("lsblk", f"cat <<'END'\n{self.list_disks(*sorted(self.folder.glob('disk*')))}\nEND")
        result = program.prepare(program.wait(self.settings), self.settings)
        program.write_state(result, self.settings.state_file)
        state: dict[str, object] = json.loads(Path(self.settings.state_file).read_text(encoding="utf-8"))
        return state


@pytest.fixture
def machine(tmp_path: Path, programs: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setattr(program, "PATIENCE_BEFORE_FORMAT_S", 0.0)
    return Machine(tmp_path, programs)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def tag(path: Path, name: str) -> str:
    done = subprocess.run(
        ["blkid", "-p", "-o", "value", "-s", name, str(path)], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_blank_disk_becomes_the_data_disk(machine: Machine) -> None:
    path = machine.disk("disk1")
    assert machine.run()["state"] == "ready"
    assert tag(path, "LABEL") == "vv-data"


def test_formatted_disk_is_found_again_and_not_formatted_again(machine: Machine) -> None:
    path = machine.disk("disk1")
    machine.run()
    uuid = tag(path, "UUID")
    assert machine.run()["state"] == "ready"
    assert tag(path, "UUID") == uuid


def test_foreign_disk_is_left_alone_byte_for_byte(machine: Machine) -> None:
    path = machine.disk("disk1")
    subprocess.run(["mkfs.ext4", "-q", "-L", "photos", str(path)], check=True)
    before = digest(path)
    state = machine.run()
    assert state["state"] == "foreign"
    assert "photos" in str(state["message"])
    assert digest(path) == before


def test_two_data_disks_are_both_left_alone(machine: Machine) -> None:
    paths = [machine.data_disk("disk1"), machine.data_disk("disk2")]
    before = [digest(path) for path in paths]
    state = machine.run()
    assert state["state"] == "refused"
    assert all(str(path) in str(state["message"]) for path in paths)
    assert [digest(path) for path in paths] == before


def test_missing_disk_is_reported_with_advice(machine: Machine) -> None:
    state = machine.run()
    assert state["state"] == "missing"
    assert "attach" in str(state["advice"])


def test_disk_of_this_format_is_taken(machine: Machine) -> None:
    machine.data_disk("disk1", '{"format_epoch": 1, "created": "2026-01-01T00:00:00Z"}')
    assert machine.run()["state"] == "ready"


def test_disk_of_a_newer_version_is_refused(machine: Machine) -> None:
    machine.data_disk("disk1", '{"format_epoch": 2, "created": "2026-01-01T00:00:00Z"}')
    state = machine.run()
    assert state["state"] == "newer"
    assert "newer version" in str(state["message"])


def test_damage_that_cannot_be_mended_safely_is_left_to_a_person(machine: Machine) -> None:
    path = machine.data_disk("disk1")
    subprocess.run(["debugfs", "-w", "-R", "clri <2>", str(path)], check=True, capture_output=True)
    subprocess.run(["tune2fs", "-E", "force_fsck", str(path)], check=True, capture_output=True)
    state = machine.run()
    assert state["state"] == "failed"
    assert "e2fsck" in str(state["advice"])


def test_late_disk_is_waited_for(machine: Machine) -> None:
    patient = Settings("vv-data", "/data", 10, 1, 0, machine.settings.state_file)
    late = machine.data_disk("late")
    machine.programs(
        "lsblk",
        f"""mark={machine.folder}/asked
if [ -e "$mark" ]; then
    echo '{machine.list_disks(late)}'
else
    touch "$mark"; echo '{machine.list_disks()}'
fi""",
    )
    assert program.wait(patient).state == "ready"


def test_disk_that_cannot_be_read_is_not_taken_for_blank(machine: Machine) -> None:
    gone = '{"blockdevices": [{"path": "/nowhere", "type": "disk", "size": 99, "ro": false, "mountpoints": [null]}]}'
    machine.programs("lsblk", f"echo '{gone}'")
    assert program.look(machine.settings).state == "failed"


def test_nothing_is_touched_when_the_system_disk_is_not_recognised(machine: Machine) -> None:
    path = machine.disk("disk1")
    # As lsblk lists it without nesting: no disk has a mount, not even the system's.
    flat = f'{{"blockdevices": [{{"path": "{path}", "type": "disk", "size": {SIZE}, "ro": false, "mountpoints": []}}]}}'
    machine.programs("lsblk", f"echo '{flat}'")
    state = program.look(machine.settings)
    assert state.state == "failed"
    assert "which disk the system runs from" in state.message
