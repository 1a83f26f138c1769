"""What role data_disk leaves in a running machine.

A container has no disks of its own; the choice between disks is tested in tests/unit/guest, the mount in tests/image.
"""

from __future__ import annotations

import json

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


def test_units_are_sound(host: Host) -> None:
    units = "vv-data-disk.service vv-data-epoch.service data.mount"
    done = host.run(f"cd /etc/systemd/system && systemd-analyze verify --man=no {units}")
    assert done.rc == 0, done.stderr
