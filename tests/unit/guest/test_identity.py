"""Who a machine is follows its data disk: a new system disk takes it over, whenever the power fails."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from vv_identity import actions, files, main
from vv_identity.actions import Outcome
from vv_identity.store import Damaged, Mark, Store
from vv_identity.system import Part, System

PARTS = (
    Part("/etc/machine-id", "0444", required=True, restart="systemd-journald.service"),
    Part("/etc/ssh/key", "0600", required=True),
    Part("/etc/ssh/key.pub", "0644"),
    Part("/etc/vv/set-here.json", "0600"),
    Part("/etc/vv/setup.json", "0600", installed_as="/etc/vv/inherited.json"),
)
MARK = "/etc/vv/identity.json"


class Disk:
    """The root file system of a machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.system = System(PARTS, MARK, folder)
        for name in ("etc/ssh", "etc/vv"):
            (folder / name).mkdir(parents=True)

    def own(self, name: str) -> Disk:
        """As a machine is after its first start, by itself."""
        for path in ("etc/machine-id", "etc/ssh/key", "etc/ssh/key.pub", "etc/vv/setup.json"):
            (self.folder / path).write_text(f"{path} of {name}\n", encoding="utf-8")
        return self

    def set_here(self, text: str) -> None:
        (self.folder / "etc/vv/set-here.json").write_text(text, encoding="utf-8")

    def unset(self) -> None:
        (self.folder / "etc/vv/set-here.json").unlink()

    def tree(self) -> dict[str, tuple[str, int]]:
        return {
            str(path.relative_to(self.folder)): (path.read_text(), path.stat().st_mode & 0o777)
            for path in sorted(self.folder.rglob("*"))
            if path.is_file()
        }

    def text(self, path: str) -> str:
        return (self.folder / path).read_text(encoding="utf-8")


@pytest.fixture
def disk(tmp_path: Path) -> Callable[[str], Disk]:
    return lambda name: Disk(tmp_path / name)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "data").mkdir()
    return Store(tmp_path / "data" / "identity")


def test_first_machine_keeps_its_own(disk: Callable[[str], Disk], store: Store) -> None:
    first = disk("first")
    assert actions.take(first.system, store) == Outcome(actions.OWN)
    assert actions.keep(first.system, store) == Outcome(actions.INCOMPLETE)
    assert store.load() is None
    first.own("first")
    assert actions.keep(first.system, store) == Outcome(actions.KEPT)
    assert actions.keep(first.system, store) == Outcome(actions.UNCHANGED)
    assert actions.take(first.system, store) == Outcome(actions.UNCHANGED)


def test_new_system_disk_becomes_the_one_before(disk: Callable[[str], Disk], store: Store) -> None:
    first = disk("first").own("first")
    first.set_here('{"dns": "192.0.2.53"}')
    actions.keep(first.system, store)
    second = disk("second")
    assert actions.take(second.system, store) == Outcome(actions.TAKEN, ("systemd-journald.service",))
    tree = second.tree()
    assert tree["etc/machine-id"] == ("etc/machine-id of first\n", 0o444)
    assert tree["etc/ssh/key"] == ("etc/ssh/key of first\n", 0o600)
    assert tree["etc/ssh/key.pub"][1] == 0o644
    assert tree["etc/vv/set-here.json"][0] == '{"dns": "192.0.2.53"}'
    # Its own record would say that all of it is applied here.
    assert "etc/vv/setup.json" not in tree
    assert tree["etc/vv/inherited.json"][0] == "etc/vv/setup.json of first\n"
    assert second.system.mark == first.system.mark


def test_what_is_not_there_is_taken_away(disk: Callable[[str], Disk], store: Store) -> None:
    first, second = disk("first").own("first"), disk("second").own("second")
    actions.keep(first.system, store)
    second.set_here("{}")
    assert actions.take(second.system, store).state == actions.TAKEN
    assert not (second.folder / "etc/vv/set-here.json").exists()
    assert second.text("etc/ssh/key") == "etc/ssh/key of first\n"


def test_inherited_settings_are_handed_on_until_there_are_newer_ones(disk: Callable[[str], Disk], store: Store) -> None:
    actions.keep(disk("first").own("first").system, store)
    second, third = disk("second"), disk("third")
    actions.take(second.system, store)
    assert actions.keep(second.system, store) == Outcome(actions.UNCHANGED)
    actions.take(third.system, store)
    assert third.text("etc/vv/inherited.json") == "etc/vv/setup.json of first\n"
    (third.folder / "etc/vv/setup.json").write_text("third", encoding="utf-8")
    assert actions.keep(third.system, store) == Outcome(actions.KEPT)


def test_later_change_wins_over_an_older_copy(disk: Callable[[str], Disk], store: Store) -> None:
    first, second = disk("first").own("first"), disk("second")
    actions.keep(first.system, store)
    actions.take(second.system, store)
    second.set_here("changed on the second")
    assert actions.keep(second.system, store) == Outcome(actions.KEPT)
    # The first one is started with the disk again: it takes over what was changed, at its next start.
    assert actions.keep(first.system, store) == Outcome(actions.ANOTHER)
    assert not (first.folder / "etc/vv/set-here.json").exists()
    assert actions.take(first.system, store).state == actions.TAKEN
    assert first.text("etc/vv/set-here.json") == "changed on the second"


def test_change_that_was_not_kept_in_time_is_kept_at_the_next_start(disk: Callable[[str], Disk], store: Store) -> None:
    first = disk("first").own("first")
    actions.keep(first.system, store)
    first.set_here("one")
    actions.keep(first.system, store)
    first.unset()
    assert actions.take(first.system, store) == Outcome(actions.UNCHANGED)
    assert actions.keep(first.system, store) == Outcome(actions.KEPT)
    kept = store.load()
    assert kept is not None
    assert "set-here.json" not in kept.contents


def test_data_disk_of_another_appliance_is_not_overwritten(disk: Callable[[str], Disk], store: Store) -> None:
    actions.keep(disk("first").own("first").system, store)
    before = store.load()
    other = disk("other").own("other")
    other.system.set_mark(Mark("0123456789abcdef", 9))
    assert actions.keep(other.system, store) == Outcome(actions.ANOTHER)
    assert other.text("etc/ssh/key") == "etc/ssh/key of other\n"
    assert store.load() == before
    assert actions.take(other.system, store).state == actions.TAKEN
    assert other.text("etc/ssh/key") == "etc/ssh/key of first\n"


def test_empty_data_disk_at_an_appliance_gets_its_identity(
    disk: Callable[[str], Disk], store: Store, tmp_path: Path
) -> None:
    first = disk("first").own("first")
    actions.keep(first.system, store)
    (tmp_path / "blank").mkdir()
    blank = Store(tmp_path / "blank" / "identity")
    assert actions.keep(first.system, blank) == Outcome(actions.KEPT)
    assert blank.load() is not None


class Cut(Exception):
    """The power fails."""


def failing_after(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file and folder that comes on the disk counts."""
    left = count

    def sync(descriptor: int) -> None:
        nonlocal left
        if left == 0:
            raise Cut
        left -= 1

    monkeypatch.setattr(os, "fsync", sync)


def test_power_cut_while_taking_over_begins_it_anew(
    disk: Callable[[str], Disk], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = disk("first").own("first")
    actions.keep(first.system, store)
    whole = disk("whole")
    actions.take(whole.system, store)
    cuts = 0
    while True:
        second = disk(f"second{cuts}")
        with monkeypatch.context() as cut:
            failing_after(cuts, cut)
            try:
                actions.take(second.system, store)
            except Cut:
                pass
            else:
                break
        # As long as it is not marked nothing was promised; afterwards all of it is there.
        if second.system.mark is None:
            assert actions.take(second.system, store).state == actions.TAKEN
        assert second.tree() == whole.tree()
        cuts += 1
    assert cuts > 8


def test_power_cut_while_keeping_leaves_the_old_or_the_new_set(
    disk: Callable[[str], Disk], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = disk("first").own("first")
    first.set_here("old")
    actions.keep(first.system, store)
    cuts = 0
    while True:
        first.set_here(f"new {cuts}")
        with monkeypatch.context() as cut:
            failing_after(cuts, cut)
            try:
                actions.keep(first.system, store)
            except Cut:
                pass
            else:
                break
        found = store.load()
        assert found is not None
        assert found.contents["set-here.json"] in (b"old", f"new {cuts}".encode())
        assert actions.keep(first.system, store).state in (actions.KEPT, actions.UNCHANGED)
        first.set_here("old")
        actions.keep(first.system, store)
        cuts += 1
    assert cuts > 8


@pytest.mark.parametrize(
    ("name", "content"),
    [("key", "x"), ("seal.json", "x"), ("seal.json", '{"id": "0123456789abcdef", "generation": 9}')],
)
def test_damaged_set_is_neither_used_nor_replaced(
    disk: Callable[[str], Disk], store: Store, tmp_path: Path, name: str, content: str
) -> None:
    first = disk("first").own("first")
    actions.keep(first.system, store)
    path = tmp_path / "data/identity/current" / name
    path.write_text(content, encoding="utf-8")
    second = disk("second")
    with pytest.raises(Damaged, match=name):
        actions.take(second.system, store)
    assert second.tree() == {}
    second.own("second")
    with pytest.raises(Damaged):
        actions.keep(second.system, store)
    assert path.read_text(encoding="utf-8") == content


def test_nobody_else_reads_it(disk: Callable[[str], Disk], store: Store, tmp_path: Path) -> None:
    actions.keep(disk("first").own("first").system, store)
    folder = tmp_path / "data/identity"
    assert folder.stat().st_mode & 0o077 == 0
    assert [path for path in folder.rglob("*") if path.is_file() and path.stat().st_mode & 0o077] == []


def test_console_is_told(
    disk: Callable[[str], Disk],
    programs: Callable[[str, str], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    calls = tmp_path / "calls"
    programs("systemctl", f'echo "$@" >> {calls}')
    machine = disk("machine")
    settings = main.Settings(str(tmp_path), "data.mount", "/data/identity", MARK, "/run/vv/identity.json", PARTS)
    assert main.run("take", settings, machine.folder) == 0
    assert "no data disk" in capsys.readouterr().out
    assert calls.read_text() == "start data.mount\n"
    monkeypatch.setattr(os.path, "ismount", lambda _: True)
    (machine.folder / "data").mkdir()
    actions.keep(disk("first").own("first").system, Store(machine.folder / "data/identity"))
    assert main.run("take", settings, machine.folder) == 0
    assert "taken over from the data disk" in capsys.readouterr().out
    assert calls.read_text().splitlines()[-1] == "restart systemd-journald.service"
    state = machine.folder / "run/vv/identity.json"
    assert json.loads(state.read_text()) == {"state": "taken", "problem": ""}
    assert state.stat().st_mode & 0o777 == 0o644
    files.write(machine.folder / "data/identity/current/key", b"x", 0o600)
    assert main.run("keep", settings, machine.folder) == 1
    assert "IDENTITY: the identity on the data disk cannot be used" in capsys.readouterr().err
    assert "key is missing or damaged" in json.loads(state.read_text())["problem"]
