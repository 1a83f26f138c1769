from __future__ import annotations

import os
from pathlib import Path

import pytest

from vvctl.image.settle import settle

EPOCH = 1750000000
DAY = EPOCH // 86400


def provisioned(folder: Path, run: int) -> Path:
    """What the `run`-th build leaves: the same content, and times and traces of its own."""
    now = EPOCH + 1000 * run
    for name, text in {
        "etc/shadow": f"root:*:{DAY - 300}:0:99999:7:::\nadmin:!*:{DAY + run}:0:99999:7:::\nold:*:::::::\n",
        "etc/shadow-": f"trace {run}",
        "etc/.updated": f"# made by systemd\nTIMESTAMP_NSEC={now}312605367\n",
        "etc/hostname": "here\n",
        "usr/share/dated-by-its-package": "x",
        "var/cache/ldconfig/aux-cache": f"trace {run}",
        "var/cache/debconf/config.dat": f"Name: ucf/x\nVariables:\n BASENAME = a\n NEW = /tmp/a.{run}\n",
        "var/lib/dpkg/status-old": f"trace {run}",
        f"var/tmp/systemd-private-{run}/x": "",
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (now, now))
    (folder / "etc/link").symlink_to("nowhere")
    os.utime(folder / "usr/share/dated-by-its-package", (EPOCH - 99, EPOCH - 99))
    return folder


def snapshot(folder: Path) -> dict[str, tuple[float, str]]:
    """Time and content of everything below `folder`, and of itself."""
    found = {}
    for path in (folder, *folder.rglob("*")):
        content = path.read_text() if path.is_file() and not path.is_symlink() else ""
        found[str(path.relative_to(folder))] = (path.lstat().st_mtime, content)
    return found


@pytest.fixture
def settled(tmp_path: Path) -> Path:
    folder = provisioned(tmp_path / "first", 1)
    settle(folder, EPOCH)
    return folder


def test_two_builds_of_the_same_leave_the_same(settled: Path, tmp_path: Path) -> None:
    again = provisioned(tmp_path / "second", 7)
    assert snapshot(again) != snapshot(settled)
    settle(again, EPOCH)
    assert snapshot(again) == snapshot(settled)


def test_keeps_the_older_times_that_packages_gave(settled: Path) -> None:
    assert (settled / "usr/share/dated-by-its-package").stat().st_mtime == EPOCH - 99


def test_reading_a_file_later_makes_no_difference(settled: Path) -> None:
    """mke2fs writes an access that is newer than SOURCE_DATE_EPOCH as that date, an older one as it is."""
    accesses = [path.lstat().st_atime for path in (settled, *settled.rglob("*"))]
    assert min(accesses) >= EPOCH


def test_accounts_of_the_build_have_its_day_and_others_keep_theirs(settled: Path) -> None:
    days = [line.split(":")[2] for line in (settled / "etc/shadow").read_text().splitlines()]
    assert days == [str(DAY - 300), str(DAY), ""]


def test_systemd_sees_no_update_of_usr_that_it_must_follow(settled: Path) -> None:
    stamp = int((settled / "etc/.updated").read_text().rpartition("=")[2])
    assert stamp >= (settled / "usr").stat().st_mtime_ns


def test_settling_again_changes_nothing(settled: Path) -> None:
    before = snapshot(settled)
    settle(settled, EPOCH)
    assert snapshot(settled) == before
