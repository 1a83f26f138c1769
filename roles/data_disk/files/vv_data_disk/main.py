"""Makes the data disk ready to be mounted, or says why there is none. Exit status 0 only when it may be mounted.

With the argument `note`, once it is mounted: notes on it which format it has from now on.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass

from . import choice
from .choice import Choice
from .disks import Device, ProbeFailed, ends_are_zero, scan

SETTINGS = "/usr/lib/voice-verify/data-disk.json"
# A blank disk is formatted only when no labelled one turned up meanwhile.
PATIENCE_BEFORE_FORMAT_S = 5.0
_POLL_S = 1.0


@dataclass(frozen=True)
class Settings:
    """What the image was built with."""

    label: str
    mount: str
    timeout_s: int
    format_epoch: int
    minimum_gb: int
    state_file: str


def load_settings(path: str = SETTINGS) -> Settings:
    with open(path, encoding="utf-8") as file:  # noqa: PTH123 (see disks.py)
        return Settings(**json.load(file))


def look(settings: Settings) -> Choice:
    """The choice for the disks that are there now."""
    try:
        return choice.choose(
            scan(),
            label=settings.label,
            minimum_bytes=settings.minimum_gb << 30,
            is_blank=ends_are_zero,
        )
    except ProbeFailed as error:
        return Choice(choice.FAILED, str(error), "check the disk and its controller, then restart")


def wait(settings: Settings) -> Choice:
    """Look until a disk shows up, at most for the time that a slow bus is given."""
    deadline = time.monotonic() + settings.timeout_s
    while True:
        found = look(settings)
        if found.state == choice.FORMAT:
            time.sleep(PATIENCE_BEFORE_FORMAT_S)
            return look(settings)
        if found.state != choice.MISSING or time.monotonic() >= deadline:
            return found
        time.sleep(_POLL_S)


def prepare(found: Choice, settings: Settings) -> Choice:
    """Format a blank disk, check one of ours; gives the final state."""
    if found.device is None:
        return found
    if found.state == choice.FORMAT:
        return _format(found.device, settings)
    if any(found.device.mounts):
        return found
    return _check(found.device, settings)


def _format(device: Device, settings: Settings) -> Choice:
    # The default of 5 % for root is 50 GB on a 1 TB disk that root never writes to.
    done = subprocess.run(
        ["mkfs.ext4", "-q", "-m", "1", "-L", settings.label, device.path], capture_output=True, text=True, check=False
    )
    if done.returncode:
        return Choice(
            choice.FAILED,
            f"{device.path} could not be formatted: {done.stderr.strip()}",
            "replace the disk, then restart",
            device,
        )
    subprocess.run(["udevadm", "trigger", "--action=change", "--settle", device.path], check=False)
    return Choice(choice.READY, f"{device.path} ({device.gib}), newly formatted", device=device)


def _check(device: Device, settings: Settings) -> Choice:
    done = subprocess.run(["e2fsck", "-p", device.path], capture_output=True, text=True, check=False)
    # e2fsck(8): 1 is "corrected", 2 is "corrected, restart if mounted"; 4 and above were left as they are.
    if done.returncode >= 4:
        return Choice(
            choice.FAILED,
            f"the file system on {device.path} is damaged and was not mounted",
            f"take a copy of the disk, then log in and run: e2fsck {device.path}",
            device,
        )
    epoch = _epoch(device)
    if epoch > settings.format_epoch:
        return Choice(
            choice.NEWER,
            f"{device.path} was written by a newer version (format {epoch}, this one knows {settings.format_epoch})",
            "start the newer version with this disk; nothing was changed on it",
            device,
        )
    repaired = ", repaired" if done.returncode else ""
    return Choice(choice.READY, f"{device.path} ({device.gib}{repaired})", device=device)


def _epoch(device: Device) -> int:
    """The format epoch noted on the file system, read without mounting it; 0 when none is."""
    done = subprocess.run(
        ["debugfs", "-R", "cat /.voice-verify.json", device.path], capture_output=True, text=True, check=False
    )
    try:
        return int(json.loads(done.stdout)["format_epoch"])
    except (ValueError, KeyError, TypeError):
        return 0


def write_state(result: Choice, path: str) -> None:
    """Leave the result for console and tests."""
    state = {
        "state": result.state,
        "message": result.message,
        "advice": result.advice,
        "device": result.device.path if result.device else None,
        "size_bytes": result.device.size if result.device else None,
    }
    os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120 (see disks.py)
    with open(f"{path}.new", "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump(state, file)
    os.replace(f"{path}.new", path)  # noqa: PTH105


def note(settings: Settings) -> int:
    """Exit status 0 when the mounted disk may be written, 1 when it belongs to a newer version."""
    # Imported here: what runs before the mount has no time to lose.
    from pathlib import Path  # noqa: PLC0415

    from . import epoch  # noqa: PLC0415

    if epoch.note(Path(settings.mount), settings.format_epoch):
        return 0
    print("DATA DISK: it was written by a newer version; start that one. Nothing was changed.", file=sys.stderr)
    return 1


def main() -> int:
    """Exit status 0 when the disk may be mounted, 1 otherwise."""
    settings = load_settings()
    if sys.argv[1:] == ["note"]:
        return note(settings)
    result = prepare(wait(settings), settings)
    write_state(result, settings.state_file)
    if result.state == choice.READY:
        print(f"data disk: {result.message}")
        return 0
    print(f"DATA DISK: {result.message}", file=sys.stderr)
    print(f"DATA DISK: {result.advice}", file=sys.stderr)
    return 1
