"""Backups as the image makes them: by the service's command, on PostgreSQL, in their sandbox."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from testinfra.host import Host

testinfra_hosts = ["podman://voice-verify-backup"]
FOLDER, RECIPIENT = "/data/backups", "/etc/voice-verify/backup-recipient"
SETTINGS = "/usr/lib/voice-verify/backup.json"
PYTHON = "/opt/voice-verify/venv/bin/python"
KEY = "import pyrage; key = pyrage.x25519.Identity.generate(); print(key, key.to_public())"
OPEN = (
    "import gzip, pyrage, sys;"
    "key = pyrage.x25519.Identity.from_str(sys.argv[2]);"
    "print(gzip.decompress(pyrage.decrypt(open(sys.argv[1], 'rb').read(), [key])).decode())"
)


@pytest.fixture(scope="module", autouse=True)
def database(host: Host) -> None:
    host.check_output("systemctl restart postgresql")
    host.check_output("systemctl start voice-verify")


@pytest.fixture(scope="module")
def key(host: Host) -> str:
    """The private key of the one that this machine encrypts to."""
    assert host.run("systemctl start vv-backup").rc == 0
    # Off until it is told to whom.
    assert host.run(f"test -e {FOLDER}").rc == 1
    private, public = host.check_output("%s -c %s", PYTHON, KEY).split()
    host.check_output(f"echo {public} > {RECIPIENT}")
    return private


@pytest.fixture
def made(host: Host, key: str) -> list[str]:
    """The backups there are, after one was made."""
    del key
    host.check_output("systemctl start vv-backup")
    return backups(host)


@pytest.fixture
def settings(host: Host) -> Iterator[None]:
    host.check_output(f"cp {SETTINGS} {SETTINGS}.saved")
    yield
    host.check_output(f"mv {SETTINGS}.saved {SETTINGS}; systemctl reset-failed vv-backup")


def backups(host: Host) -> list[str]:
    return host.check_output(f"ls {FOLDER}").split()


def test_backup_is_for_the_owner_of_the_key_and_for_administrators_to_fetch(
    host: Host, key: str, made: list[str]
) -> None:
    path = f"{FOLDER}/{made[-1]}"
    assert host.file(path).content.startswith(b"age-encryption.org/v1\n-> X25519 ")
    assert '"format":"voice-verify-backup"' in host.check_output("%s -c %s %s %s", PYTHON, OPEN, path, key)
    file = host.file(path)
    assert (file.user, file.group, file.mode) == ("voice-verify", "adm", 0o640)
    assert host.file(FOLDER).mode == 0o2750


def test_newest_are_kept_and_unfinished_ones_go(host: Host, made: list[str]) -> None:
    older = [f"voice-verify-202001{day:02}T023000Z.backup.age" for day in range(1, 21)]
    for name in (*older, "voice-verify-20200101T023000Z.backup.age.part"):
        host.check_output(f"cp {FOLDER}/{made[-1]} {FOLDER}/{name}")
    # Names hold seconds.
    host.check_output("sleep 1 && systemctl start vv-backup")
    found = backups(host)
    assert len(found) == 14
    assert found[:-1] == [*older, *made][-13:]


@pytest.mark.usefixtures("settings")
def test_without_room_nothing_is_made_and_nothing_is_lost(host: Host, made: list[str]) -> None:
    host.check_output(f'sed -i \'s/"reserve_percent": 10/"reserve_percent": 100/\' {SETTINGS}')
    assert host.run("systemctl start vv-backup").rc == 1
    assert backups(host) == made
    assert "no room for a backup" in host.check_output("journalctl --unit vv-backup --output cat --lines 20")


def test_failed_backup_leaves_nothing_behind(host: Host, made: list[str]) -> None:
    host.check_output(f"cp {RECIPIENT} {RECIPIENT}.saved && echo age1nobody > {RECIPIENT}")
    assert host.run("systemctl start vv-backup").rc == 1
    host.check_output(f"mv {RECIPIENT}.saved {RECIPIENT}; systemctl reset-failed vv-backup")
    assert backups(host) == made


def test_it_is_made_every_night(host: Host) -> None:
    assert host.check_output("systemctl is-enabled vv-backup.timer") == "enabled"
    calendar = host.check_output("systemctl show --property=TimersCalendar --value vv-backup.timer")
    assert "OnCalendar=*-*-* 02:30:00" in calendar


def test_unit_needs_the_data_disk(host: Host) -> None:
    needed = host.check_output("systemctl show --property=RequiresMountsFor --value vv-backup")
    assert FOLDER in needed.split()


def test_unit_is_sandboxed(host: Host) -> None:
    report = host.check_output("systemd-analyze security --no-pager vv-backup.service")
    assert float(report.splitlines()[-1].split(":")[1].split()[0]) < 3.0


def test_units_are_sound(host: Host) -> None:
    done = host.run("cd /etc/systemd/system && systemd-analyze verify --man=no vv-backup.service vv-backup.timer")
    assert done.rc == 0, done.stderr
