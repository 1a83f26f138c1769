"""What role data_disk leaves in a running machine.

A container has no disks of its own; the choice between disks is tested in tests/unit/guest, the mount in tests/image.
"""

from __future__ import annotations

import json

import pytest
from testinfra.host import Host

testinfra_hosts = ["podman://voice-verify-data_disk"]


def show(host: Host, unit: str, name: str) -> str:
    return host.check_output("systemctl show --property=%s --value %s", name, unit)


def test_disk_is_mounted_by_label_and_boot_goes_on_without_it(host: Host) -> None:
    unit = host.file("/etc/systemd/system/data.mount").content_string
    assert "What=/dev/disk/by-label/vv-data" in unit
    assert "nofail" in unit
    assert "data.mount" not in show(host, "local-fs.target", "Requires").split()
    assert "data.mount" not in show(host, "local-fs.target", "After").split()


def test_nothing_is_mounted_that_the_program_refused(host: Host) -> None:
    assert "vv-data-disk.service" in show(host, "data.mount", "Requires").split()
    assert "vv-data-disk.service" in show(host, "data.mount", "After").split()


def test_enlarged_disk_is_grown(host: Host) -> None:
    assert "systemd-growfs@data.service" in show(host, "data.mount", "Wants").split()


def test_wait_for_the_device_is_bounded(host: Host) -> None:
    # In microseconds, or as systemd writes it.
    assert show(host, "dev-disk-by\\x2dlabel-vv\\x2ddata.device", "JobRunningTimeoutUSec") == "1min 30s"


def test_new_disk_is_told_which_format_it_has(host: Host) -> None:
    host.check_output("systemctl start vv-data-epoch")
    note = json.loads(host.file("/data/.voice-verify.json").content_string)
    assert note["format_epoch"] == 1
    assert note["created"].endswith("Z")


def test_format_is_raised_before_anything_is_written_in_it(host: Host) -> None:
    assert "postgresql.service" in show(host, "vv-data-epoch", "Before").split()
    host.check_output('echo \'{"format_epoch": 0, "created": "2026-01-31T00:00:00Z"}\' > /data/.voice-verify.json')
    host.check_output("systemctl start vv-data-epoch")
    note = json.loads(host.file("/data/.voice-verify.json").content_string)
    assert note == {"format_epoch": 1, "created": "2026-01-31T00:00:00Z"}


def test_disk_of_a_newer_version_is_not_noted_as_an_older_one(host: Host) -> None:
    newer = '{"format_epoch": 2}'
    host.check_output(f"echo '{newer}' > /data/.voice-verify.json")
    assert host.run("systemctl start vv-data-epoch").rc != 0
    assert host.file("/data/.voice-verify.json").content_string == f"{newer}\n"
    host.check_output("rm /data/.voice-verify.json && systemctl reset-failed vv-data-epoch")
    host.check_output("systemctl start vv-data-epoch")


def test_format_note_is_never_written_again(host: Host) -> None:
    host.check_output("systemctl start vv-data-epoch")
    before = host.file("/data/.voice-verify.json").content_string
    host.check_output("systemctl start vv-data-epoch")
    assert host.file("/data/.voice-verify.json").content_string == before


def test_program_starts_and_finds_its_tools(host: Host) -> None:
    for tool in ("lsblk", "blkid", "e2fsck", "mkfs.ext4", "debugfs", "udevadm"):
        assert host.exists(tool)
    assert (
        host.run(
            "python3 -IS -c 'import sys; sys.path.insert(0, \"/usr/lib/voice-verify\"); import vv_data_disk.main'"
        ).rc
        == 0
    )


@pytest.mark.parametrize("unit", ["vv-data-disk", "vv-data-epoch"])
def test_unit_is_sandboxed(host: Host, unit: str) -> None:
    report = host.check_output("systemd-analyze security --no-pager %s.service", unit)
    assert float(report.splitlines()[-1].split(":")[1].split()[0]) < 3.0


def test_units_are_sound(host: Host) -> None:
    units = "vv-data-disk.service vv-data-epoch.service data.mount"
    done = host.run(f"cd /etc/systemd/system && systemd-analyze verify --man=no {units}")
    assert done.rc == 0, done.stderr
